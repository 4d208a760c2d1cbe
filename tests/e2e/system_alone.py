"""The steps of gpu_host.py that are about the host itself, so that a test installs no engine."""

from gpuhost.steps import proxy, system
from gpuhost.steps.start import begin

if settings := begin():
    system.undisturbed(settings)
    proxy.ready(settings)
    system.ready(settings)
    system.updated(settings)
