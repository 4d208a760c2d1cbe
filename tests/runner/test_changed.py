"""Containers that Compose would keep are replaced if they are not as they were verified."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from gpuhost.runner.contract import made_with
from gpuhost.runner.lib.files import point, write_json
from gpuhost.runner.stages import activation
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import NEW, App, Programs, app, programs

__all__ = ["app", "programs"]

UP = "docker compose up -d --no-build"
HASH = "com.docker.compose.config-hash"
LABELS = {"com.docker.compose.service": "web", HASH: "c0ffee"}
INSPECTED: dict[str, Any] = {
    "Id": "0123456789abcdef",
    "Name": "/app-web-1",
    "Created": "2026-11-21T21:55:03.123456789Z",
    "State": {"Status": "running", "ExitCode": 0},
    "HostConfig": {"Memory": 1 << 31, "RestartPolicy": {"Name": "unless-stopped"}},
    "Config": {"Image": "gpuhost/app/web:0123456789ab", "Labels": LABELS, "Env": ["A=1"]},
    "NetworkSettings": {"Networks": {"app_default": {"Aliases": ["web", "app-web-1"]}}},
}


def host_has(programs: Programs, **changes: Any) -> None:
    value = copy.deepcopy(INSPECTED)
    for path, new in changes.items():
        *parents, last = path.split("__")
        place = value
        for parent in parents:
            place = place[parent]
        place[last] = new
    programs.answer("docker ps *", "some")
    programs.answer("docker inspect *", json.dumps([value]))


@pytest.fixture
def release(app: App, programs: Programs) -> Release:
    """A new release; the one before it was verified with the container as it is inspected."""
    app.paths.shared.mkdir()
    made = app.release(NEW)
    programs.compose({"web": {}, "db": {}})
    record = {"format": 2, "services": {"web": made_with(INSPECTED)}}
    before = app.paths.release("20260101-000000-aaaaaaaa").home
    before.mkdir(parents=True)
    write_json(before / "fingerprint.json", {"format": 1, "containers": record})
    point(app.paths.current, f"releases/{before.name}")
    return made


def ups(programs: Programs) -> list[str]:
    return [line.removeprefix(f"{UP} ") for line in programs.calls if " up " in line]


@pytest.mark.parametrize(
    ("changes", "forced"),
    [
        ({}, False),
        # An id, a time and an address differ after a restart.
        ({"Id": "fedcba9876543210", "State__StartedAt": "2026-11-30T00:00:00Z"}, False),
        ({"HostConfig__Memory": 64 << 20}, True),
        ({"HostConfig__RestartPolicy": {"Name": "no"}}, True),
        ({"NetworkSettings__Networks": {}}, True),
        ({"NetworkSettings__Networks": {"app_default": {"Aliases": ["app-web-1"]}}}, True),
        # Compose replaces it itself.
        ({"HostConfig__Memory": 64 << 20, "Config__Labels": {**LABELS, HASH: "b"}}, False),
    ],
)  # fmt: skip
def test_a_container_that_is_not_as_verified_is_replaced(
    release: Release, programs: Programs, changes: dict[str, Any], forced: bool
) -> None:
    host_has(programs, **changes)
    activation.start(release)
    first = ["--force-recreate web"] if forced else []
    assert ups(programs) == [*first, "web db"]


def test_the_log_names_the_fields_and_no_value(release: Release, programs: Programs) -> None:
    host_has(programs, Config__Env=["A=hunter2-hunter2", "B=2"])
    activation.start(release)
    log = release.paths.log.read_text()
    assert "web: its containers are replaced: no longer as verified: env A, env B" in log
    assert "hunter2" not in log


@pytest.mark.parametrize("text", [None, "{", "[]", "{}", '{"containers": {"format": 0}}'])
def test_without_a_record_nothing_is_replaced(
    release: Release, programs: Programs, text: str | None
) -> None:
    file = release.app.current.resolve() / "fingerprint.json"
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    host_has(programs, HostConfig__Memory=5)
    activation.start(release)
    assert ups(programs) == ["web db"]
