"""Only the steps of gpu_host.py that containers with a GPU need."""

from gpuhost.steps import docker, toolkit
from gpuhost.steps.start import load_settings_or_stop

if settings := load_settings_or_stop():
    docker.apply(settings)
    toolkit.apply(settings)
    docker.configure(settings)
    toolkit.test_gpu_container(settings)
