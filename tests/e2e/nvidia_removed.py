"""What gpuhost set for the NVIDIA driver is taken away again."""

from gpuhost.steps import nvidia
from gpuhost.steps.start import load_settings_or_stop

if settings := load_settings_or_stop():
    nvidia.removed(settings)
