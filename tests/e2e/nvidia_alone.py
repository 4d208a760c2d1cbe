"""The steps of gpu_host.py that have to do with the NVIDIA driver."""

from gpuhost.steps import apt, nvidia
from gpuhost.steps.start import begin

if settings := begin():
    nvidia.archive_ready(settings)
    apt.ready(settings)
    nvidia.ready(settings)
