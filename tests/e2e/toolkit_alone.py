"""The steps of gpu_host.py for containers with a GPU."""

from gpuhost.steps import docker, toolkit
from gpuhost.steps.start import load_settings_or_stop

if settings := load_settings_or_stop():
    docker.apply(settings)
    toolkit.apply(settings)
    docker.configure(settings)
    toolkit.test_gpu_container(settings)
