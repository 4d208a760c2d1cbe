"""The steps of gpu_host.py for the engine and the firewall."""

from gpuhost.steps import docker, firewall
from gpuhost.steps.start import load_settings_or_stop

if settings := load_settings_or_stop():
    docker.apply(settings)
    firewall.apply(settings)
