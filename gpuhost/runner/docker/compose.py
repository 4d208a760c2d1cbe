"""Runs docker compose, always with the same project, directory and files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpuhost.runner.lib.commands import Outcome, run, try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.state.release import Release

QUICK = 60


def words(release: Release, *arguments: str, pinned: bool = True) -> tuple[str, ...]:
    """A compose command line.

    + pinned: use the recorded image ids, and pass secrets; not for builds, whose images get the
      names in the user's file
    """
    plan = release.plan
    files = [release.paths.compose, release.paths.override]
    if pinned and release.paths.host.exists():
        files.append(release.paths.host)
    return (
        "docker",
        "compose",
        "-p",
        plan.project,
        "--project-directory",
        str(release.app.shared),
        *(word for file in _env_files(release) for word in ("--env-file", str(file))),
        *(word for file in files for word in ("-f", str(file))),
        *(word for profile in plan.profiles for word in ("--profile", profile)),
        *arguments,
    )


def _env_files(release: Release) -> tuple[Path, ...]:
    """The user's .env must be named too: with --env-file Compose does not look for it."""
    if not release.paths.env.exists():
        return ()
    own = release.app.shared / ".env"
    return (own, release.paths.env) if own.exists() else (release.paths.env,)


def environment(release: Release) -> dict[str, str]:
    """Variables for the Compose files, and the location of the app's registry logins."""
    logins = {"DOCKER_CONFIG": str(release.app.docker)} if release.app.docker.exists() else {}
    return {
        "GPUHOST_SOURCE": str(release.source),
        "GPUHOST_RELEASE": release.plan.id,
        "COMPOSE_MENU": "false",
        **logins,
    }


def compose(
    release: Release, *arguments: str, what: str, seconds: float = QUICK, pinned: bool = True
) -> str:
    """Run docker compose; log its output. Raises Failure."""
    command = words(release, *arguments, pinned=pinned)
    return run(release.log, *command, seconds=seconds, what=what, env=environment(release))


def ask(release: Release, *arguments: str, pinned: bool = True, seconds: float = QUICK) -> Outcome:
    """Run docker compose for its output, which is not logged: it may contain secrets.

    Its errors are logged. They may contain a part of a secret, for example if ${NAME} is a port.
    """
    command = words(release, *arguments, pinned=pinned)
    log = release.log.in_pieces(release.paths.compose.read_text(encoding="utf-8", errors="replace"))
    return try_run(log, *command, seconds=seconds, env=environment(release), quiet=True)


def config(release: Release) -> dict[str, Any]:
    """`docker compose config` with the image names of the user's file; run once.

    Raises Failure.
    """
    return _composed(release, "", "docker compose config refuses the app's files")


def section(release: Release, service: str) -> Mapping[str, Any]:
    """A service in `config`, also one in a profile that is not active.

    Raises Failure.
    """
    result: Mapping[str, Any] | None = config(release)["services"].get(service)
    if result is None:
        failing = f"docker compose config {service} fails"
        fix = "set migrate.service in x-gpuhost to a service of the Compose file"
        result = dict(_composed(release, service, failing, fix)["services"][service])
    return result


def _composed(release: Release, service: str, failing: str, fix: str = "") -> dict[str, Any]:
    if service not in release.composed:
        named = (service,) if service else ()
        outcome = ask(release, "config", "--format", "json", *named, pinned=False)
        if not outcome.ok:
            raise Failure(failing, output=outcome.tail, fix=fix)
        release.composed[service] = json.loads(outcome.out)
    return release.composed[service]


def services_to_start(release: Release) -> tuple[str, ...]:
    """The services of the active profiles, without those that are left out."""
    left_out = set(release.plan.leave_out)
    if release.plan.migrate:
        left_out.add(release.plan.migrate.service)
    return tuple(name for name in config(release)["services"] if name not in left_out)
