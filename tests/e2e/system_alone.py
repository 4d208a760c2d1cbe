"""The steps of gpu_host.py for the host itself: their tests need no engine."""

from gpuhost.steps import proxy, system
from gpuhost.steps.start import load_settings_or_stop

if settings := load_settings_or_stop():
    system.wait_for_package_manager(settings)
    proxy.apply(settings)
    system.apply(settings)
    system.enable_security_updates(settings)
    system.repair(settings)
