"""What gpuhost set for the NVIDIA driver is taken away again."""

from gpuhost.steps import nvidia
from gpuhost.steps.start import begin

if settings := begin():
    nvidia.removed(settings)
