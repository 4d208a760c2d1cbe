"""The step of gpu_host.py that swap has to do with."""

from gpuhost.steps import swap
from gpuhost.steps.start import begin

if settings := begin():
    swap.ready(settings)
