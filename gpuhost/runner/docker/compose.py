"""Runs docker compose with the one file of a release that says what runs, compose.json."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from gpuhost.runner.contract import MOST_EFFORT, is_secret_name, masking_effort
from gpuhost.runner.docker.resolved_model import Model, extension, running
from gpuhost.runner.lib.commands import Outcome, run, try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import keep, load_json
from gpuhost.runner.state.release import Release

QUICK = 60
# Characters that are valid in JSON, but line ends or invalid in YAML.
NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")
# Characters of a value that is masked for its variable's name: shorter ones are words like "true"
# more often than secrets.
LEAST_GUESSED = 6
# Each value costs time for each line that is logged.
MOST_GUESSED = 500


def words(
    release: Release, *arguments: str, pinned: bool = True, file: Path | None = None
) -> tuple[str, ...]:
    """A compose command line.

    + pinned: with recorded image ids and secrets; not for builds, whose images get the names in the
      user's files
    + file: another model of the release
    """
    if file is None:
        is_pinned = pinned and release.paths.runs.exists()
        file = release.paths.runs if is_pinned else release.paths.resolved
    if not file.exists():
        # An older gpuhost made the release, and it was not activated since.
        return (*legacy_words(release, pinned=pinned), *arguments)
    env = release.paths.run_env if release.paths.run_env.exists() else Path(os.devnull)
    return (
        *("docker", "compose", "-p", release.plan.project),
        # The same for every release: Compose writes it to a label.
        *("--project-directory", str(release.app.shared)),
        *("--env-file", str(env), "-f", str(file)),
        *arguments,
    )


def legacy_words(release: Release, *, pinned: bool) -> tuple[str, ...]:
    """For the two or three files of a release that an older gpuhost made."""
    plan, paths = release.plan, release.paths
    files = [paths.compose, paths.override]
    if pinned and paths.host.exists():
        files.append(paths.host)
    own = release.app.shared / ".env"
    # With --env-file Compose does not look for .env.
    env = [file for file in (own, paths.env) if paths.env.exists() and file.exists()]
    return (
        *("docker", "compose", "-p", plan.project),
        *("--project-directory", str(release.app.shared)),
        *(word for file in env for word in ("--env-file", str(file))),
        *(word for file in files for word in ("-f", str(file))),
        *(word for profile in plan.profiles for word in ("--profile", profile)),
    )


def project_directory(release: Release) -> Path:
    """Where relative paths of the Compose files start."""
    first = release.plan.compose[0] if release.plan.compose else ""
    return Path(os.path.normpath((release.source / first).parent if first else release.source))


def project_base(release: Release) -> str:
    """The project directory, relative to the source."""
    return os.path.relpath(project_directory(release), release.source)


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


def ask(
    release: Release,
    *arguments: str,
    pinned: bool = True,
    seconds: float = QUICK,
    large: bool = False,
) -> Outcome:
    """Run docker compose for its output, which is not logged: it may contain secrets.

    Its errors are logged. They may contain a part of a secret, for example if ${NAME} is a port.
    """
    command = words(release, *arguments, pinned=pinned)
    log = release.log.in_pieces(release.paths.compose.read_text(encoding="utf-8", errors="replace"))
    return try_run(
        log, *command, seconds=seconds, env=environment(release), quiet=True, large=large
    )


def store(release: Release, model: Model) -> None:
    """Write resolved.json. Raises Failure if its log could not mask all that may be secret."""
    require_maskable(_guessed(release, model))
    write_model(release.paths.resolved, model)
    release.composed = model
    _mask(release, model)


def write_model(path: Path, model: Mapping[str, Any]) -> None:
    """Write a model (0600) unless it is the same; a YAML parser reads it too."""
    text = json.dumps(model, indent=1, ensure_ascii=False) + "\n"
    keep(path, NOT_IN_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", text), mode=0o600)


def config(release: Release) -> Model:
    """The resolved model, with the image names of the user's files. Raises Failure."""
    if release.composed is None:
        try:
            model = load_json(release.paths.resolved)
            _mask(release, model)
        except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
            raise Failure(
                f"{release.paths.resolved}: {getattr(error, 'strerror', None) or 'damaged'}",
                fix="release the app again",
            ) from None
        release.composed = model
    return release.composed


def section(release: Release, service: str) -> Mapping[str, Any]:
    """A service of the release. Raises Failure."""
    result: Mapping[str, Any] | None = config(release)["services"].get(service)
    if result is None:
        raise Failure(
            f"the Compose files have no service {service}",
            fix="set migrate.service in x-gpuhost to a service of the Compose files",
        )
    return result


def services_to_start(release: Release) -> tuple[str, ...]:
    """The services of the release, without its migration and what only this needs."""
    model, migrate = config(release), release.plan.migrate
    others = {*extension(model).of_migration, migrate.service if migrate else ""}
    return tuple(name for name in running(model) if name not in others)


def _mask(release: Release, model: Model) -> None:
    """An older gpuhost may have stored more values than a log can mask."""
    release.log.mask(islice(_guessed(release, model), MOST_GUESSED))


def require_maskable(values: Mapping[str, tuple[str, str]]) -> None:
    """Raises Failure if a log could not mask all of them. + values: to where it is, and its name"""
    effort = 0
    for count, (value, (where, name)) in enumerate(values.items(), start=1):
        effort += masking_effort(value)
        if count > MOST_GUESSED:
            raise cannot_mask(f"{where}: more than {MOST_GUESSED} values")
        if effort > MOST_EFFORT:
            raise cannot_mask(f"{where}: {name}: a long value")


def cannot_mask(what: str) -> Failure:
    return Failure(
        f"{what} of variables that are named like secrets; a log cannot mask more, or values of "
        f"more than {MOST_EFFORT} characters together, of which each that is no letter or digit "
        "counts as 16",
        fix="rename those that are no secrets, or mount a file instead",
    )


def _guessed(release: Release, model: Model) -> dict[str, tuple[str, str]]:
    """Values of .env and of env files that are named like secrets, as for `require_maskable`.

    Not those that are names in the model too, like "postgres": its log would be unreadable. Nor
    those that are declared: they are masked anyway.
    """
    services: dict[str, dict[str, Any]] = model["services"]
    public = " ".join([*services, *(str(s.get("image") or "") for s in services.values())])
    declared = set(release.secrets.values())
    found = {
        str(value).replace("$$", "$"): (f"environment of {service}", name)
        for service, section in services.items()
        for name, value in (section.get("environment") or {}).items()
        if is_secret_name(name)
    }
    return {
        value: place
        for value, place in found.items()
        if len(value) >= LEAST_GUESSED and value not in public and value not in declared
    }
