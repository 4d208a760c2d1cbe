"""Remove the holds and the persistence unit of the NVIDIA driver; the driver stays."""

from gpuhost.steps import nvidia
from gpuhost.steps.start import load_settings_or_stop

if settings := load_settings_or_stop():
    nvidia.remove(settings)
