"""The step of gpu_host.py for swap."""

from gpuhost.steps import swap
from gpuhost.steps.start import load_settings_or_stop

if settings := load_settings_or_stop():
    swap.apply(settings)
