"""Only the step of gpu_host.py that this is about, so that a test need not install an engine."""

from gpuhost.host import apt
from gpuhost.host.start import begin

if settings := begin():
    apt.ready(settings)
