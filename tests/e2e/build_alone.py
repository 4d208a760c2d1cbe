"""The steps of gpu_host.py that apt inside builds has to do with."""

from gpuhost.steps import build, docker
from gpuhost.steps.start import begin

if settings := begin():
    docker.ready(settings)
    docker.configured(settings)
    build.ready(settings)
