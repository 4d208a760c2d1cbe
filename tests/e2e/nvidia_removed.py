"""What gpuhost set for the NVIDIA driver is taken away again."""

from gpuhost.host import nvidia
from gpuhost.host.start import begin

if settings := begin():
    nvidia.removed(settings)
