"""The steps of gpu_host.py that the engine has to do with."""

from gpuhost.steps import docker
from gpuhost.steps.start import begin

if settings := begin():
    docker.ready(settings)
    docker.configured(settings)
