"""Only the step of gpu_host.py that installs the toolkit: its test needs no engine."""

from gpuhost.steps import toolkit
from gpuhost.steps.start import load_settings_or_stop

if settings := load_settings_or_stop():
    toolkit.apply(settings)
