"""Only the step of gpu_host.py that installs the toolkit: a test of it needs no engine."""

from gpuhost.steps import toolkit
from gpuhost.steps.start import begin

if settings := begin():
    toolkit.ready(settings)
