"""Only the step of gpu_host.py that this is about, so that a test need not install an engine."""

from gpuhost.steps import apt
from gpuhost.steps.start import begin

if settings := begin():
    apt.ready(settings)
