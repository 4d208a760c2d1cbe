"""The steps of gpu_host.py that apt inside builds has to do with."""

from gpuhost.host import build, docker
from gpuhost.host.start import begin

if settings := begin():
    docker.ready(settings)
    docker.configured(settings)
    build.ready(settings)
