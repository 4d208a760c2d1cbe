"""The steps of gpu_host.py for the NVIDIA driver."""

from gpuhost.steps import apt, nvidia
from gpuhost.steps.start import load_settings_or_stop

if settings := load_settings_or_stop():
    nvidia.add_archive_components(settings)
    apt.apply(settings)
    nvidia.apply(settings)
