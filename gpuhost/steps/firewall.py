"""The firewall, for the host and its containers, without ever losing SSH."""

from __future__ import annotations

from gpuhost.operations import firewall
from gpuhost.settings import Settings
from gpuhost.steps.start import elevated


def ready(declared: Settings) -> None:
    """Closed but for SSH and `firewall_allow`."""
    if not declared.firewall_enabled:
        return
    firewall.rules(
        name="Firewall",
        allow=declared.firewall_allow,
        confirm_s=declared.firewall_confirm_s,
        adopt=declared.adopt,
        apt_lock_timeout_s=declared.apt_lock_timeout_s,
        **elevated(declared),
    )


def removed(declared: Settings) -> None:
    """Without our rules; those of others stay."""
    firewall.removed(
        name="Firewall removed", confirm_s=declared.firewall_confirm_s, **elevated(declared)
    )
