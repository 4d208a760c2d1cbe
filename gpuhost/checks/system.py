"""The host itself: whether gpuhost may and can work on it."""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, fail, ok, warn
from gpuhost.checks.registry import check
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

SUPPORTED = {
    "debian": ("12", "13"),
    "ubuntu": ("22.04", "24.04", "25.10", "26.04"),
}
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@check("system.privileges", "gpuhost is root on the host, or becomes root by sudo.")
def privileges(now: Snapshot, declared: Settings) -> Verdict:
    if now.system.root:
        return ok("root by sudo" if now.system.sudo else "root")
    return fail(
        "root, or sudo",
        "this user is not root and sudo asks for a password or is not there",
        fix="log in as root, give the user NOPASSWD sudo, or run pyinfra with --sudo "
        "--use-sudo-password",
    )


@check("system.supported", "The distribution and the architecture are ones that gpuhost knows.")
def supported(now: Snapshot, declared: Settings) -> Verdict:
    system = now.system
    actual = f"{system.pretty_name} on {system.machine}"
    expected = "Debian 12-13 or Ubuntu 22.04-26.04, amd64 or arm64"
    known = system.version in SUPPORTED.get(system.distribution, ())
    if known and system.machine in MACHINES:
        return ok(actual, expected=expected)
    fix = "set system_allow_unsupported=True to go on all the same"
    if declared.system_allow_unsupported:
        return warn(expected, actual, fix="use a supported system")
    return fail(expected, actual, fix=fix)
