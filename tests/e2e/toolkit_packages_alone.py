"""Only the step of gpu_host.py that installs the toolkit: a test of it needs no engine."""

from gpuhost.host import toolkit
from gpuhost.host.start import begin

if settings := begin():
    toolkit.ready(settings)
