"""The steps of gpu_host.py that the firewall has to do with."""

from gpuhost.host import docker, firewall
from gpuhost.host.start import begin

if settings := begin():
    docker.ready(settings)
    firewall.ready(settings)
