"""Asks Compose what the app's files mean, in the project's directory."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpuhost.runner.docker.compose import (
    environment,
    legacy_words,
    project_base,
    project_directory,
)
from gpuhost.runner.docker.resolved_model import KEY, Model
from gpuhost.runner.lib.commands import Outcome, try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import NOWHERE
from gpuhost.runner.lib.running import LONGEST_KEPT
from gpuhost.runner.lib.source_paths import read_text
from gpuhost.runner.resolved.env_values import guessed_secrets
from gpuhost.runner.resolved.hidden_paths import hiding
from gpuhost.runner.resolved.read_back import (
    readable,
    refuse_damaged_text,
    with_absolute_profiles,
    with_own_keys,
)
from gpuhost.runner.resolved.refusals import refusal
from gpuhost.runner.state.release import Release

SECONDS = 60
UNSET = re.compile(r'The \\?"([^"\\]+)\\?" variable is not set')
MERGED = ("services", "networks", "volumes", "configs", "secrets")


@dataclass(frozen=True)
class Answer:
    """What Compose says.

    + unset: variables without a value and a default
    + inactive: services of the files that are in no active profile
    + hidden: those of them that are in the model nevertheless: the migration, and what it needs
    + environment: what configs and secrets with `environment` take
    """

    model: Model
    unset: tuple[str, ...] = ()
    inactive: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def ask_compose(release: Release) -> Answer:
    """Raises Failure, with the paths of the source."""
    outcome = _config(release, "--format", "json")
    model = _plain(outcome)
    active = set(model["services"])
    migration = release.plan.migrate
    if migration and migration.service not in active:
        model = _with_hidden(release, model, migration.service)
    directory = release.app.shared if release.is_old else project_directory(release)
    with_absolute_profiles(model["services"].values(), str(directory))
    return Answer(
        model,
        _unset(outcome),
        _inactive(release, model),
        tuple(name for name in model["services"] if name not in active),
        _environment(release, model),
    )


def _with_hidden(release: Release, model: Model, service: str) -> Model:
    """With a migration in a profile that is not active, and what it needs."""
    fix = "set migrate.service in x-gpuhost to a service of the Compose files"
    hidden = _plain(_config(release, "--format", "json", service, fix=fix))
    merged = {k: {**(hidden.get(k) or {}), **(model.get(k) or {})} for k in MERGED}
    return {**model, **{key: value for key, value in merged.items() if value}}


def _inactive(release: Release, model: Model) -> tuple[str, ...]:
    words = (*_words(release), "--profile", "*", "config", "--services")
    outcome = try_run(NOWHERE, *words, seconds=SECONDS, **_where(release), quiet=True)
    names = outcome.out.split() if outcome.ok else ()
    return tuple(sorted(set(names) - model["services"].keys()))


def _environment(release: Release, model: Model) -> dict[str, str]:
    """Values that the resolved model refers to by name: Compose reads them when it runs."""
    resources = [r for kind in ("configs", "secrets") for r in (model.get(kind) or {}).values()]
    names = {str(r["environment"]) for r in resources if r.get("environment")}
    if not names:
        return {}
    service = {"image": "none", "environment": {name: f"${{{name}-}}" for name in names}}
    probe = release.paths.home / ".probe.json"
    probe.write_text(json.dumps({"services": {"probe": service}}), encoding="utf-8")
    try:
        words = _words(release, (probe,))
        outcome = try_run(
            NOWHERE, *words, "config", "--format", "json", seconds=SECONDS, **_where(release),
            quiet=True,
        )  # fmt: skip
    finally:
        probe.unlink()
    if not outcome.ok:
        raise Failure(
            "docker compose config does not print the variables of configs and secrets: "
            f"{', '.join(sorted(names))}",
            fix="rename those that have other characters than letters, digits and _",
        )
    found = _plain(outcome)["services"]["probe"]["environment"]
    return {name: str(value).replace("$$", "$") for name, value in found.items()}


def _config(release: Release, *arguments: str, fix: str = "") -> Outcome:
    known = "\n".join(_text(release, file) for file in files(release))
    read = (*env_files(release), *(release.source / name for name in release.plan.env_files))
    texts = {os.path.relpath(file, release.source): _text(release, file) for file in read}
    release.log.mask(guessed_secrets(texts, known))
    outcome = try_run(
        NOWHERE, *_words(release), "config", *arguments, seconds=SECONDS, **_where(release),
        quiet=True,
    )  # fmt: skip
    log = release.log.in_pieces(known)
    own = f"{release.source}/"
    # A line of the greatest length was cut.
    masked = (log.masked_line(line, LONGEST_KEPT - 1) for line in outcome.err)
    said = {
        line.replace(own, ""): shown.replace(own, "")
        for line, shown in zip(outcome.err, masked, strict=True)
    }
    for line in said.values():
        log.write(line)
    if outcome.ok:
        return outcome
    if outcome.status is None:
        late = f"it did not end within {SECONDS} s"
        said[late] = late
    raise refusal(said, release.source, project_base(release), fix)


def _text(release: Release, file: Path) -> str:
    """A file that Compose will read; "" if there is none. Raises Failure: it is too large."""
    if file.is_relative_to(release.source):
        return read_text(release.source, file) or ""
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


def _words(release: Release, named: tuple[Path, ...] = ()) -> tuple[str, ...]:
    return hiding(release.app, _compose(release, named))


def _compose(release: Release, named: tuple[Path, ...]) -> tuple[str, ...]:
    if release.is_old:
        return legacy_words(release, pinned=False)
    directory = project_directory(release)
    return (
        *("docker", "compose", "-p", release.plan.project),
        *("--project-directory", str(directory)),
        *(word for file in env_files(release) for word in ("--env-file", str(file))),
        *(word for file in named or files(release) for word in ("-f", str(file))),
        *(word for profile in release.plan.profiles for word in ("--profile", profile)),
    )


def files(release: Release) -> tuple[Path, ...]:
    """The Compose files, in order."""
    own = tuple(release.source / name for name in release.plan.compose)
    return (*own, release.paths.compose) if release.plan.inline or not own else own


def env_files(release: Release) -> tuple[Path, ...]:
    """The later one wins. The project's own must be named too: Compose would not look for it."""
    candidates = (
        project_directory(release) / ".env",
        *((release.source / ".env",) if release.plan.root_dotenv else ()),
        release.paths.variables,
        release.paths.env,
    )
    return tuple(file for file in candidates if file.is_file())


def _where(release: Release) -> dict[str, Any]:
    if release.is_old:
        return {"env": environment(release)}
    directory = project_directory(release)
    return {"cwd": directory, "env": {**environment(release), "PWD": str(directory)}}


def _plain(outcome: Outcome) -> Model:
    """The printed model as Compose reads it, without the user's own x- keys."""
    try:
        model = with_own_keys(json.loads(outcome.out))
    except (ValueError, RecursionError) as error:
        what = "no JSON" if isinstance(error, ValueError) else "JSON that is nested too deeply"
        raise Failure(f"docker compose config printed {what}", output=outcome.tail) from None
    kept = {key: value for key, value in model.items() if not key.startswith("x-") or key == KEY}
    refuse_damaged_text(kept)
    services = dict(kept.get("services") or {})
    readable(services.values())
    return {**kept, "services": services}


def _unset(outcome: Outcome) -> tuple[str, ...]:
    return tuple(sorted(set(_matches(outcome))))


def _matches(outcome: Outcome) -> Iterator[str]:
    for line in outcome.err:
        yield from UNSET.findall(line)
