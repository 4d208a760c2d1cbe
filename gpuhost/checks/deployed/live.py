"""Live containers, field by field, against those of the verified release."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gpuhost.checks.deployed import OLDER, deployed_check
from gpuhost.checks.deployed.deployed_app import DeployedApp
from gpuhost.checks.finding import Verdict, fail, ok, skip
from gpuhost.domain.sizes import format_size
from gpuhost.snapshot.live import Changed

# Other checks compare these: app.NAME.ports and app.NAME.images.
ELSEWHERE = ("ports", "image")
BYTES = ("memory", "memory + swap", "memory reservation", "shm")
# Units of 10^-9.
CPUS = ("cpus",)
HASHED = "sha256:"
WITHOUT = {"restart": "no", **dict.fromkeys((*BYTES, "cpus", "cpu quota", "pids"), "unlimited")}
NUMBER = re.compile(r"\d{1,18}", re.ASCII)


@deployed_check(
    "live",
    "Its containers have the limits, restart policy, networks, mounts, environment, devices, user "
    "and privileges with which they were verified.",
)
def live(app: DeployedApp) -> Verdict:
    containers = app.containers
    changes = app.snapshot.live.changed.get(app.name)
    if not app.details.kept or changes is None:
        return skip(OLDER)
    changes = tuple(change for change in changes if change.field not in ELSEWHERE)
    if changes:
        return fail("as verified", "; ".join(_words(changes)), fix=app.release_command)
    unrecorded = ", ".join(app.snapshot.live.unrecorded.get(app.name, ()))
    return ok(
        f"{len(containers)} containers as verified",
        evidence=f"an older gpuhost released it, and did not record: {unrecorded}"
        if unrecorded
        else "",
    )


def _words(changes: Iterable[Changed]) -> Iterable[str]:
    """ "web: memory 64.0 MB instead of 2.0 GB, env TOKEN changed"."""
    by_service: dict[str, list[str]] = {}
    for change in changes:
        by_service.setdefault(change.service, []).append(_difference(change))
    return (f"{service}: {', '.join(words)}" for service, words in by_service.items())


def _difference(change: Changed) -> str:
    field, was, now = change.field, change.was, change.now
    if (was or now).startswith(HASHED) or field == "config hash":
        return f"{field} {'changed' if was and now else 'added' if now else 'missing'}"
    kind = field.partition(" ")[0]
    if kind in ("mount", "network") and not (was and now):
        return f"{field} {'added' if now else 'missing'}"
    return f"{field} {_value(field, now)} instead of {_value(field, was)}"


def _value(field: str, value: str) -> str:
    if not value:
        return WITHOUT.get(field, "none")
    if field in BYTES and NUMBER.fullmatch(value):
        return format_size(int(value))
    if field in CPUS and NUMBER.fullmatch(value):
        return f"{int(value) / 1e9:g}"
    return "unlimited" if (field, value) == ("memory + swap", "-1") else value
