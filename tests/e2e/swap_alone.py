"""The step of gpu_host.py that swap has to do with."""

from gpuhost.host import swap
from gpuhost.host.start import begin

if settings := begin():
    swap.ready(settings)
