"""The steps of gpu_host.py for the engine."""

from gpuhost.steps import docker
from gpuhost.steps.start import load_settings_or_stop

if settings := load_settings_or_stop():
    docker.apply(settings)
    docker.configure(settings)
