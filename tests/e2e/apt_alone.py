"""Only the step of gpu_host.py for package sources: its test needs no engine."""

from gpuhost.steps import apt
from gpuhost.steps.start import load_settings_or_stop

if settings := load_settings_or_stop():
    apt.apply(settings)
