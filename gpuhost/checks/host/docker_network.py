"""The network of containers."""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, fail, later, ok, warn
from gpuhost.checks.registry import check
from gpuhost.plans.docker_network import (
    bridgeless,
    is_forwarding_at_boot,
    not_forwarding,
    unforwarded,
    unmasqueraded,
)
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.sysctl import IP_FORWARD

NOW = f"sysctl -w {IP_FORWARD}=1"
OFF = f"{IP_FORWARD} is 0"
RESTART = "then systemctl restart docker"


@check("docker.network", "Containers reach other machines, now and after the next boot.")
def network(snapshot: Snapshot, settings: Settings) -> Verdict:
    if snapshot.docker.engine is None:
        return later("the engine does not answer")
    expected = "the kernel forwards, and the engine makes its rules"
    lines = ", ".join(map(str, not_forwarding(snapshot)))
    switched_off = unforwarded(snapshot)
    remove = [f"delete {lines}, or set it to 1"] if lines else []
    if not snapshot.docker.engine.forwards:
        causes = f"set by {lines}" if lines else switched_off
        fix = remove or ([f"remove {switched_off}"] if switched_off else [])
        actual = f"containers have no network: {OFF}"
        return fail(expected, actual, evidence=causes, fix="; ".join([*fix, NOW]))
    if switched_off and not is_forwarding_at_boot(snapshot):
        return fail(
            expected,
            f"after the next boot containers have no network: {OFF}, and the engine leaves it so",
            evidence=switched_off,
            fix=f"remove {switched_off}, {RESTART}",
        )
    if source := unmasqueraded(snapshot):
        return fail(
            expected,
            "containers reach no other machine: the engine makes no rules, and none masquerades",
            evidence=source,
            fix=f"remove {source}, {RESTART}; firewall_allow also limits published ports",
        )
    if lines:
        return warn(
            expected,
            f"{lines} sets {IP_FORWARD} to 0: the engine sets it to 1 when it starts, and"
            " containers lose their network whenever the file is applied again",
            fix=remove[0],
        )
    if source := bridgeless(snapshot):
        return warn(
            expected, "images are built without a network", evidence=source, fix=f"remove {source}"
        )
    return ok(expected)
