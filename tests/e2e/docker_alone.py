"""The steps of gpu_host.py that the engine has to do with."""

from gpuhost.steps import docker
from gpuhost.steps.start import load_settings_or_stop

if settings := load_settings_or_stop():
    docker.apply(settings)
    docker.configure(settings)
