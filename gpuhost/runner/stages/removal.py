"""An app removed from its host. Its data, and what cannot be generated again, stays.

Cut off at any moment, the same call continues: releases/, by which an app is known, goes last.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from gpuhost.runner.contract import REMOVE, AppPaths, resume_unit
from gpuhost.runner.data import schedule
from gpuhost.runner.lib.commands import run, try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import append
from gpuhost.runner.lib.log import Log
from gpuhost.runner.plan import BadPlan, Plan, load
from gpuhost.runner.site import certificates, nginx
from gpuhost.runner.stages import prune
from gpuhost.runner.state.release import Release

QUICK = 60
# Services are stopped in order, each with the time that its own file gives it.
DOWN_S = 600
PROJECT = "label=com.docker.compose.project="
# Of gpuhost's own; what a person has put there stays.
MADE = (
    "attempt.json",
    "bases.json",
    "docker",
    "git",
    "known_hosts",
    "nginx.json",
    "restore",
    "runner.pyz",
    "seen.json",
    "current",
    "releases",
)


def remove(app: AppPaths, by: str) -> list[str]:
    """Its containers, networks, site, timers, releases and their images; what stays, in words.

    An app that is not there: nothing is done and nothing said.

    + by: who asked for it, for the history

    Raises Failure.
    """
    if not app.releases.is_dir():
        return []
    if (app.home / "restore" / "state.json").exists():
        raise Failure(
            "a restore of its data has not ended: half of it is set aside",
            fix="restore the same backup again (deploys/restore.py): it is finished or undone",
        )
    log, began = Log(app.home / "remove.log"), time.time()
    plans = list(_plans(app))
    projects = sorted({plan.project for plan in plans} or {app.home.name})
    any_of_it = _standing_for(app, by, log)
    _not_at_boot(app, log)
    schedule.remove(any_of_it)
    for project in projects:
        _down(app, project, log)
    nginx.remove(any_of_it)
    _forget_certificates(any_of_it, plans)
    untagged = prune.untag(any_of_it, ())
    volumes = [name for project in projects for name in _volumes(project, log)]
    ended = {"kind": REMOVE, "app": app.home.name, "by": by, "state": "removed"}
    append(app.history, json.dumps({**ended, "id": "", "started": began, "ended": time.time()}))
    for name in MADE:
        _delete(app.home / name)
    return [*_gone(projects, untagged), *_stays(app, volumes)]


def _plans(app: AppPaths) -> Iterator[Plan]:
    for path in sorted(app.releases.glob("*/plan.json")):
        try:
            yield load(path)
        except BadPlan:
            # Of another runner, or never whole.
            continue


def _standing_for(app: AppPaths, by: str, log: Log) -> Release:
    """No release in particular: there may be none that can be read."""
    name = app.home.name
    plan = Plan(app=name, id="remove", inputs="", by=by, project=name, revision="")
    return Release(app, app.release(plan.id), plan, log)


def _not_at_boot(app: AppPaths, log: Log) -> None:
    unit = resume_unit(app.home.name)
    if try_run(log, "systemctl", "is-enabled", "--quiet", unit, seconds=QUICK).ok:
        run(log, "systemctl", "disable", unit, seconds=QUICK, what=f"disabling {unit}")


def _down(app: AppPaths, project: str, log: Log) -> None:
    """By what the engine knows of the project: its files may not be good any more."""
    words = ("docker", "compose", "-p", project, "down", "--remove-orphans")
    run(log, *words, seconds=DOWN_S, what="docker compose down", cwd=app.home)
    asked = ("docker", "ps", "-aq", "--filter", f"{PROJECT}{project}")
    if run(log, *asked, seconds=QUICK, what="docker ps", quiet=True).strip():
        said = f"containers of {project} are still there"
        raise Failure(said, fix=f"docker ps -a, and {app.home}/remove.log, tell which and why")


def _forget_certificates(release: Release, plans: list[Plan]) -> None:
    """Keys that came with a release, and a renewal that nothing would answer for any more."""
    for site in {plan.nginx for plan in plans if plan.nginx and plan.nginx.where == "host"}:
        place = Path(site.certificate_dir)
        if site.certificate and place.is_absolute() and place.name == release.plan.app:
            _delete(place)
    lineage = certificates.lineage(release)
    if (certificates.LIVE / lineage).exists():
        try_run(release.log, "certbot", "delete", "-n", "--cert-name", lineage, seconds=QUICK)


def _volumes(project: str, log: Log) -> list[str]:
    asked = ("docker", "volume", "ls", "-q", "--filter", f"{PROJECT}{project}")
    return run(log, *asked, seconds=QUICK, what="docker volume ls", quiet=True).split()


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _gone(projects: list[str], untagged: list[str]) -> Iterator[str]:
    yield (
        f"removed: containers and networks of {', '.join(projects)}, site, timers, releases, and "
        f"{len(untagged)} tags of images"
    )


def _stays(app: AppPaths, volumes: list[str]) -> Iterator[str]:
    words = {
        app.shared: "its data in shared/",
        app.backups: "its backups",
        app.generated: "secrets generated on this host, which its data may need",
    }
    for path, what in words.items():
        if path.exists():
            yield f"stays: {what}; delete it with: rm -r {path}"
    for name in volumes:
        yield f"stays: a volume of it; delete it with: docker volume rm {name}"
    yield f"stays: the history of its releases, {app.history}"
    yield "stays: images named in its Compose file (docker image ls)"
