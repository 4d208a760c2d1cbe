"""The steps of gpu_host.py that the firewall has to do with."""

from gpuhost.steps import docker, firewall
from gpuhost.steps.start import begin

if settings := begin():
    docker.ready(settings)
    firewall.ready(settings)
