"""Only the step of gpu_host.py that this is about, so that a test need not install an engine."""

from gpuhost.steps import apt
from gpuhost.steps.start import load_settings_or_stop

if settings := load_settings_or_stop():
    apt.apply(settings)
