"""The step of gpu_host.py that swap has to do with."""

from gpuhost.steps import swap
from gpuhost.steps.start import load_settings_or_stop

if settings := load_settings_or_stop():
    swap.apply(settings)
