"""Remove what gpuhost set up for the NVIDIA driver, and keep the driver."""

from gpuhost.steps import nvidia
from gpuhost.steps.start import load_settings_or_stop

if settings := load_settings_or_stop():
    nvidia.remove(settings)
