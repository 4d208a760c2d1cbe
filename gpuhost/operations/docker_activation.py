"""Write or restore daemon.json, and stop other engines."""

from __future__ import annotations

import json
from collections.abc import Iterable

from gpuhost.domain.docker import daemon_json as keys
from gpuhost.operations.reading import Commands
from gpuhost.plans.docker import declared_pools
from gpuhost.plans.docker_flags import validation_words
from gpuhost.plans.engines import ForeignEngine
from gpuhost.remote.commands import put, run, script
from gpuhost.remote.units import disable_now
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.docker import DAEMON_JSON, DOCKER_RECORD

BROKEN = f"{DAEMON_JSON}.broken"
RESTART = "engine_restart.sh"
RESTART_SECONDS = 400
STOP_SECONDS = 120
SNAP = "snap."


def activate(snapshot: Snapshot, merged: keys.Merge, *, restart: bool) -> Commands:
    """Validate it as the unit would start it, replace the file, restart the engine if that is
    allowed, and return to the previous file if the engine does not start.
    """
    yield from _keep_broken(snapshot)
    yield put(f"{DAEMON_JSON}.gpuhost-new", merged.text, mode=_mode(snapshot))
    yield put(f"{DOCKER_RECORD}.gpuhost-new", record(merged))
    yield script(
        "docker_config.sh",
        DAEMON_JSON,
        DOCKER_RECORD,
        "yes" if restart else "no",
        *validation_words(snapshot),
        seconds=RESTART_SECONDS,
    )


def repair(snapshot: Snapshot) -> Commands:
    """For an engine that cannot start with its daemon.json: what was last applied, or what the file
    says, in a form that the engine reads. The broken file is kept.
    """
    config = snapshot.docker.config
    if not config.fault:
        return
    yield from _keep_broken(snapshot)
    yield put(DAEMON_JSON, keys.render(config.usable), mode=_mode(snapshot))


def prepare_pools(snapshot: Snapshot, settings: Settings) -> Commands:
    """Write the declared networks before the first start: an installation starts the engine, and
    docker0 keeps the network that it gets.
    """
    config, pools = snapshot.docker.config, declared_pools(settings)
    if not pools or config.values is None or "default-address-pools" in config.values:
        return
    declared = {"default-address-pools": pools}
    merged = keys.merge(config.values, declared, config.owned, adopt=False)
    yield put(DAEMON_JSON, merged.text, mode=_mode(snapshot))
    yield put(DOCKER_RECORD, record(merged))


def _keep_broken(snapshot: Snapshot) -> Commands:
    if snapshot.docker.config.fault:
        yield run("cp", "-p", "--backup=numbered", DAEMON_JSON, BROKEN)


def _mode(snapshot: Snapshot) -> str:
    """Other keys may hold a proxy's password: the file keeps its mode."""
    file = snapshot.paths.get(DAEMON_JSON)
    return file.mode if file else "0644"


def record(merged: keys.Merge) -> str:
    return json.dumps({"daemon_json": merged.owned}) + "\n"


def restart_engine() -> Commands:
    """Restart the engine; if it does not start, the reason is the command's error."""
    yield script(RESTART, seconds=RESTART_SECONDS // 2)


def stop_engines(engines: Iterable[ForeignEngine]) -> Commands:
    """Stop engines that cannot run beside ours; their data stays."""
    for engine in engines:
        unit = engine.own_unit
        if unit.startswith(SNAP):
            app = unit.removeprefix(SNAP).removesuffix(".service")
            yield run("snap", "stop", "--disable", app, seconds=STOP_SECONDS)
        elif unit:
            yield from disable_now(unit, seconds=STOP_SECONDS)
        elif engine.pids:
            yield script("engine_stop.sh", *engine.pids, seconds=STOP_SECONDS)
