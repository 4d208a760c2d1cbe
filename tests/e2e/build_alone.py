"""The steps of gpu_host.py for apt inside builds."""

from gpuhost.steps import build, docker
from gpuhost.steps.start import load_settings_or_stop

if settings := load_settings_or_stop():
    docker.apply(settings)
    docker.configure(settings)
    build.apply(settings)
