"""The steps of gpu_host.py that the engine has to do with."""

from gpuhost.host import docker
from gpuhost.host.start import begin

if settings := begin():
    docker.ready(settings)
    docker.configured(settings)
