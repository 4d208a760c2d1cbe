"""What only the host can write: directories, secrets, and the file that gives them to Compose."""

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

# Compose makes a container anew when a label changes, which it does not for a file's content.
FILES_LABEL = "gpuhost.secret-files"
# YAML takes these for line ends, or not at all, where JSON has them stand for themselves.
NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")


def render(release: Release) -> None:
    """Everything that Compose needs to start the release, checked by Compose.

    Nothing that the running app uses is touched, and nothing is made before it is known that no
    secret is missing and that Compose accepts the files.

    Raises Failure.
    """
    secrets.require(release)
    # Compose is asked with the secrets of this release, which are not the host's for good before.
    secrets.draw(release)
    write_env_file(release)
    release.app.shared.mkdir(parents=True, exist_ok=True)
    config(release)
    schedule.check(release)
    directories.check(release)
    secrets.generate(release)
    _write_host_file(release, {})
    accepted = ask(release, "config", "-q")
    if not accepted.ok:
        raise Failure(
            "docker compose config refuses the app's files with its secrets",
            output=accepted.tail,
        )


def write_host_files(release: Release) -> None:
    """What its containers find outside of their images: directories, secret files, environment.

    Whenever something of the release is started, also when it is restored: the one that failed
    may have had others.

    Raises Failure.
    """
    directories.make(release)
    _write_host_file(release, secrets.place_files(release))


def _write_host_file(release: Release, changed: Mapping[str, int]) -> None:
    """compose.host.json (0600): secrets, images by id where they are known, and limits that this
    host can keep; and secrets.env.

    + changed: secrets that are files, and when each was written
    """
    write_env_file(release)
    values = secrets.values(release)
    services = _running(release)
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


def _running(release: Release) -> dict[str, Mapping[str, Any]]:
    """Services of this host's profiles, and the migration's, whose profile may hide it."""
    migrate = release.plan.migrate
    hidden: dict[str, Mapping[str, Any]] = {migrate.service: {}} if migrate else {}
    return {**hidden, **config(release)["services"]}


def _cpus(section: Mapping[str, Any]) -> dict[str, object]:
    """All cores of the host where the limit is above that: the engine would refuse the container.

    An app file is the same for hosts of all sizes.
    """
    value: Any = section
    for key in ("deploy", "resources", "limits"):
        value = value.get(key) or {}
    here = len(os.sched_getaffinity(0))
    if float(value.get("cpus") or 0) <= here:
        return {}
    return {"deploy": {"resources": {"limits": {"cpus": str(here)}}}}


def _image(release: Release, service: str) -> dict[str, object]:
    """Its image by id, which no registry knows: what the file says of pulling was for the build."""
    tag = release.record.tags.get(service)
    return {"image": tag, "pull_policy": "never"} if tag else {}


def _environment(release: Release, service: str, values: dict[str, str]) -> dict[str, object]:
    given = {
        one.name: values[one.name].replace("$", "$$")  # Compose would expand what follows a $
        for one in release.plan.secrets
        if not one.internal and not one.path and (not one.services or service in one.services)
    }
    return {"environment": given} if given else {}


def _label(release: Release, service: str, changed: Mapping[str, int]) -> dict[str, object]:
    """When the newest of the secret files that a service gets was written."""
    times = [
        changed[one.name]
        for one in release.plan.secrets
        if one.name in changed and (not one.services or service in one.services)
    ]
    return {"labels": {FILES_LABEL: str(max(times))}} if times else {}


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
