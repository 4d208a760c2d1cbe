"""The firewall, for the host and its containers, without ever losing SSH."""

from __future__ import annotations

from gpuhost.operations import firewall
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def ready(settings: Settings) -> None:
    """Closed but for SSH and `firewall_allow`."""
    if not settings.firewall_enabled:
        return
    firewall.rules(
        name="Firewall",
        allow=settings.firewall_allow,
        confirm_s=settings.firewall_confirm_s,
        adopt=settings.adopt,
        apt_lock_timeout_s=settings.apt_lock_timeout_s,
        **sudo_args(settings),
    )


def removed(settings: Settings) -> None:
    """Without our rules; those of others stay."""
    firewall.removed(
        name="Firewall removed", confirm_s=settings.firewall_confirm_s, **sudo_args(settings)
    )
