"""Only the steps of gpu_host.py that containers with a GPU need."""

from gpuhost.steps import docker, toolkit
from gpuhost.steps.start import load_settings_or_stop

if settings := load_settings_or_stop():
    docker.ready(settings)
    toolkit.ready(settings)
    docker.configured(settings)
    toolkit.proven(settings)
