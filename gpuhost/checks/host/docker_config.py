"""The engine's configuration: daemon.json together with the unit's flags, on disk and in force."""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, fail, later, ok, unknown, warn
from gpuhost.checks.registry import check
from gpuhost.domain.advice import AGAIN
from gpuhost.domain.docker import daemon_json
from gpuhost.plans.docker import keys_for, keys_not_live, merged_config, restart_stops
from gpuhost.plans.docker_flags import unit_fault
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.docker import DAEMON_JSON


@check(
    "docker.config",
    "daemon.json has the declared keys, and the engine can start with it and its unit's flags.",
)
def config(snapshot: Snapshot, settings: Settings) -> Verdict:
    current = snapshot.docker.config
    if current.fault:
        repaired = current.is_ours_and_broken or current.values is not None
        return fail(
            "a file that the engine reads",
            f"{DAEMON_JSON}: {current.fault}",
            evidence="the engine does not start with it",
            fix=f"{AGAIN}: it keeps the file as {DAEMON_JSON}.broken and restores the settings"
            if repaired
            else f"correct or move {DAEMON_JSON}",
        )
    merged = merged_config(snapshot, settings)
    if merged.conflicts:
        return fail(
            "as declared",
            f"not set by gpuhost: {'; '.join(merged.conflicts)}",
            fix="set adopt=True to replace it, or declare the same value",
        )
    fault = unit_fault(snapshot, merged.values)
    if fault:
        judge = warn if snapshot.docker_unit.unread else fail
        return judge("in daemon.json, and not as a flag too", fault.reason, fix=fault.fix)
    if current.refused:
        return fail(
            "settings that dockerd takes",
            f"dockerd refuses {DAEMON_JSON}: {current.refused}",
            evidence="the engine does not start with it",
            fix=f"correct {DAEMON_JSON}; dockerd --validate tells whether it is right",
        )
    if merged.values != current.values:
        different = daemon_json.differences(current.usable, keys_for(snapshot, settings))
        stale = sorted(set(current.owned) - set(merged.owned))
        return fail("as declared", f"differs: {', '.join(different + stale)}", fix=AGAIN)
    if current.untried and _is_newer(snapshot):
        return unknown(
            f"{DAEMON_JSON} is newer than the engine's start, and this dockerd cannot validate it"
        )
    return ok(f"{len(merged.owned)} keys as declared")


def _is_newer(snapshot: Snapshot) -> bool:
    """Whether the file, not only the unit, has changed since the engine started."""
    file, started = snapshot.paths.get(DAEMON_JSON), snapshot.docker.service.started
    return file is None or started is None or file.modified > started


@check("docker.live", "The running engine uses the configuration in daemon.json.")
def live(snapshot: Snapshot, settings: Settings) -> Verdict:
    if snapshot.docker.engine is None:
        return later("the engine does not answer")
    if snapshot.docker.config.refused:
        return later("the engine would not start with it: see docker.config")
    differ = keys_not_live(snapshot, settings)
    if not differ:
        return ok("in force")
    stopped = restart_stops(snapshot)
    effect = f"a restart would stop {', '.join(stopped)}" if stopped else ""
    judge = warn if settings.docker_restart == "never" else fail
    return judge(
        "in force",
        f"not in force: {', '.join(differ)}",
        evidence=effect,
        fix='systemctl restart docker, or docker_restart="always"' if stopped else AGAIN,
    )
