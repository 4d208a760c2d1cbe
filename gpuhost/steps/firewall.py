"""The firewall of the host and its containers; SSH stays open."""

from __future__ import annotations

from gpuhost.operations import firewall
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def apply(settings: Settings) -> None:
    """Close every port except SSH and `firewall_allow`."""
    if not settings.firewall_enabled:
        return
    firewall.rules(
        name="Firewall",
        allow=settings.firewall_allow,
        confirm_s=settings.firewall_confirm_s,
        adopt=settings.adopt,
        lock_timeout_s=settings.apt_lock_timeout_s,
        **sudo_args(settings),
    )


def remove(settings: Settings) -> None:
    """Remove gpuhost's rules; other rules stay."""
    firewall.rules(
        name="Firewall removed",
        confirm_s=settings.firewall_confirm_s,
        adopt=settings.adopt,
        present=False,
        **sudo_args(settings),
    )
