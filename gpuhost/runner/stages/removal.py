"""Removes an app from its host, except its data, backups and generated secrets.

After an interruption the same call continues: releases/, which marks an app, is deleted last.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from gpuhost.runner.contract import REMOVE, AppPaths, resume_unit
from gpuhost.runner.data import schedule
from gpuhost.runner.lib.commands import run, try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import append, clear, make_way
from gpuhost.runner.lib.log import Log
from gpuhost.runner.plan import BadPlan, Plan, load
from gpuhost.runner.site import certificates, nginx
from gpuhost.runner.stages import prune
from gpuhost.runner.stages.restore_leftovers import ASIDE, on_other_disks, set_restore_aside
from gpuhost.runner.state import operations
from gpuhost.runner.state.release import Release

QUICK = 60
# Services are stopped in order, each with its own stop_grace_period.
DOWN_S = 600
PROJECT = "label=com.docker.compose.project="
# Created by gpuhost; other files are kept, also copying.json: a copy into shared/ may have to
# continue. The order matters.
CREATED = (
    "abort.json",
    "bases.json",
    "docker",
    "files",
    "git",
    ".git.new",
    "known_hosts",
    "nginx.json",
    "runner.pyz",
    "seen.json",
    "current",
)


def remove(app: AppPaths, by: str) -> list[str]:
    """Remove containers, networks, site, timers, releases and image tags.

    Returns lines about what is removed and kept; no lines if the app does not exist.

    + by: who removes it, for the history

    Raises Failure.
    """
    if not app.releases.is_dir():
        return []
    set_restore_aside(app)
    log, began = Log(app.home / "remove.log"), time.time()
    plans = list(_plans(app))
    projects = sorted({plan.project for plan in plans} or {app.home.name})
    release = _stand_in(app, by, log)
    _disable_resume(app, log)
    schedule.remove(release)
    for project in projects:
        _down(app, project, log)
    nginx.remove(release)
    _remove_certificates(release, plans)
    untagged = prune.untag(release, ())
    volumes = [name for project in projects for name in _volumes(project, log)]
    make_way(app.history)
    ended = {"kind": REMOVE, "app": app.home.name, "by": by, "state": "removed"}
    append(app.history, json.dumps({**ended, "id": "", "started": began, "ended": time.time()}))
    for name in CREATED:
        clear(app.home / name)
    for home in app.releases.iterdir():
        prune.remove_whole(home)
    operations.end(app)
    _remove_empty(app.releases)
    return [_removed_line(projects, untagged), *_kept_lines(app, volumes)]


def _remove_empty(releases: Path) -> None:
    try:
        releases.rmdir()
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        raise Failure("not removed: a release has arrived", fix="remove it again") from None


def _plans(app: AppPaths) -> Iterator[Plan]:
    for path in sorted(app.releases.glob("*/plan.json")):
        try:
            yield load(path)
        except BadPlan:
            # Of another runner version, or incomplete.
            continue


def _stand_in(app: AppPaths, by: str, log: Log) -> Release:
    """A release without a plan of its own: the real ones may be damaged."""
    name = app.home.name
    plan = Plan(app=name, id="remove", inputs="", by=by, project=name, revision="")
    return Release(app, app.release(plan.id), plan, log)


def _disable_resume(app: AppPaths, log: Log) -> None:
    unit = resume_unit(app.home.name)
    if try_run(log, "systemctl", "is-enabled", "--quiet", unit, seconds=QUICK).ok:
        run(log, "systemctl", "disable", unit, seconds=QUICK, what=f"disabling {unit}")


def _down(app: AppPaths, project: str, log: Log) -> None:
    """By the labels of the containers: the Compose files may be damaged."""
    words = ("docker", "compose", "-p", project, "down", "--remove-orphans")
    run(log, *words, seconds=DOWN_S, what="docker compose down", cwd=app.home)
    command = ("docker", "ps", "-aq", "--filter", f"{PROJECT}{project}")
    if run(log, *command, seconds=QUICK, what="docker ps", quiet=True).strip():
        raise Failure(
            f"containers of {project} still exist",
            fix=f"run docker ps -a, and read {app.home}/remove.log for the reason",
        )


def _remove_certificates(release: Release, plans: list[Plan]) -> None:
    """Delete given certificates, and certbot's certificate with its renewal."""
    for site in {plan.nginx for plan in plans if plan.nginx and plan.nginx.where == "host"}:
        directory = Path(site.certificate_dir)
        if site.certificate and directory.is_absolute() and directory.name == release.plan.app:
            clear(directory)
    lineage = certificates.lineage(release)
    if (certificates.LIVE / lineage).exists():
        try_run(release.log, "certbot", "delete", "-n", "--cert-name", lineage, seconds=QUICK)


def _volumes(project: str, log: Log) -> list[str]:
    command = ("docker", "volume", "ls", "-q", "--filter", f"{PROJECT}{project}")
    return run(log, *command, seconds=QUICK, what="docker volume ls", quiet=True).split()


def _removed_line(projects: list[str], untagged: list[str]) -> str:
    return (
        f"removed: containers and networks of {', '.join(projects)}, site, timers, releases, and "
        f"{len(untagged)} image tags"
    )


def _kept_lines(app: AppPaths, volumes: list[str]) -> Iterator[str]:
    damaged = "data of a restore that could not be read, maybe the only copy"
    words = {
        app.shared: "its data in shared/",
        **dict.fromkeys(on_other_disks(app), "data that a restore has moved aside on another disk"),
        app.backups: "its backups",
        **dict.fromkeys(sorted(app.home.glob("*.damaged*")), "a damaged file that was moved aside"),
        **{path: damaged for pattern in ASIDE for path in sorted(app.home.glob(pattern))},
        app.generated: "secrets generated on this host, which its data may need",
    }
    for path, what in words.items():
        if os.path.lexists(path):
            yield f"kept: {what}; if nobody needs it any more: rm -r {quote(str(path))}"
    for name in volumes:
        yield f"kept: volume {name}; if nobody needs it any more: docker volume rm {name}"
    yield f"kept: the history of its releases, {app.history}"
    yield "kept: images named in its Compose file (docker image ls)"
