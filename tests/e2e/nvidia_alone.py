"""The steps of gpu_host.py that are about the NVIDIA driver."""

from gpuhost.host import nvidia
from gpuhost.host.start import begin

if settings := begin():
    nvidia.archive_ready(settings)
    nvidia.ready(settings)
