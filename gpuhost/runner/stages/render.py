"""The stage `render`: writes the files that need secrets and the state of the host."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

from gpuhost.runner.data import directories, schedule, secrets
from gpuhost.runner.data.env_file import write_env_file
from gpuhost.runner.docker.compose import ask, config
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import keep
from gpuhost.runner.state.release import Release

# Compose recreates a container if a label changes, but not if the content of a file changes.
FILES_LABEL = "gpuhost.secret-files"
# Characters that are valid in JSON, but line ends or invalid in YAML.
NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")


def render(release: Release) -> None:
    """Write and check everything that Compose needs to start the release.

    No file of the running app is changed, and nothing is created before all secrets exist and
    Compose accepts the files.

    Raises Failure.
    """
    secrets.require(release)
    # New secrets are used for the check, and stored only after it.
    secrets.draw(release)
    write_env_file(release)
    release.app.shared.mkdir(parents=True, exist_ok=True)
    config(release)
    schedule.check(release)
    directories.check(release)
    secrets.generate(release)
    _write_host_file(release, {})
    outcome = ask(release, "config", "-q")
    if not outcome.ok:
        raise Failure(
            "docker compose config refuses the app's files with its secrets",
            output=outcome.tail,
        )


def write_host_files(release: Release) -> None:
    """Write directories, secret files and environment for the containers of the release.

    Also before a release is restored: the failed one may have changed them.

    Raises Failure.
    """
    directories.make(release)
    _write_host_file(release, secrets.place_files(release))


def _write_host_file(release: Release, changed: Mapping[str, int]) -> None:
    """Write secrets.env, and compose.host.json (0600): secrets, image ids, possible CPU limits.

    + changed: secrets that are files, with modification time
    """
    write_env_file(release)
    values = secrets.values(release)
    services = _sections(release)
    entries: dict[str, dict[str, object]] = {
        name: {
            **_image(release, name),
            **_environment(release, name, values),
            **_label(release, name, changed),
            **_cpus(section),
        }
        for name, section in services.items()
    }
    value = {"services": {name: entry for name, entry in entries.items() if entry}}
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    keep(release.paths.host, NOT_IN_YAML.sub(_escaped, text), mode=0o600)


def _sections(release: Release) -> dict[str, Mapping[str, Any]]:
    """Services of the active profiles, and the migration, whose profile may be inactive."""
    migrate = release.plan.migrate
    hidden: dict[str, Mapping[str, Any]] = {migrate.service: {}} if migrate else {}
    return {**hidden, **config(release)["services"]}


def _cpus(section: Mapping[str, Any]) -> dict[str, object]:
    """Lower a limit above the cores of this host: the engine would refuse the container."""
    value: Any = section
    for key in ("deploy", "resources", "limits"):
        value = value.get(key) or {}
    cores = len(os.sched_getaffinity(0))
    if float(value.get("cpus") or 0) <= cores:
        return {}
    return {"deploy": {"resources": {"limits": {"cpus": str(cores)}}}}


def _image(release: Release, service: str) -> dict[str, object]:
    """The image by id, which cannot be pulled."""
    tag = release.record.tags.get(service)
    return {"image": tag, "pull_policy": "never"} if tag else {}


def _environment(release: Release, service: str, values: dict[str, str]) -> dict[str, object]:
    environment = {
        s.name: values[s.name].replace("$", "$$")  # Compose expands a single $
        for s in release.plan.secrets
        if not s.internal and not s.path and (not s.services or service in s.services)
    }
    return {"environment": environment} if environment else {}


def _label(release: Release, service: str, changed: Mapping[str, int]) -> dict[str, object]:
    """The modification time of the newest secret file of a service."""
    times = [
        changed[s.name]
        for s in release.plan.secrets
        if s.name in changed and (not s.services or service in s.services)
    ]
    return {"labels": {FILES_LABEL: str(max(times))}} if times else {}


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
