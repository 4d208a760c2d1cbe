"""Shared by tests of builds: an isolated host, and a release to build."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.building import capacity, memory_peak, registry_login
from gpuhost.runner.lib import proxy
from gpuhost.runner.plan import Source
from gpuhost.runner.state.release import Release
from tests.runner.fake_tools import Docker
from tests.runner.host_fixtures import NEW, App, as_resolved

DEBIAN = {"dockerfile_inline": "FROM debian:12\n"}
MEMINFO = "MemTotal: 8000000 kB\nMemAvailable: {} kB\nSwapTotal: 1 kB\nSwapFree: {} kB\n"


@pytest.fixture(autouse=True)
def isolated_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of this machine have no effect."""
    monkeypatch.setattr(proxy, "CLIENT", tmp_path / "config.json")
    monkeypatch.setattr(registry_login, "OWN_PLUGINS", tmp_path / "plugins")
    monkeypatch.setattr(memory_peak, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(capacity, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(capacity, "SWAPS", tmp_path / "swaps")
    capacity.MEMINFO.write_text(MEMINFO.format(4 << 20, 2 << 20))


def a_release(app: App, docker: Docker, release_id: str = NEW, **plan: Any) -> Release:
    docker.write()
    release = app.release(release_id, **{"source": Source("archive", release_id), **plan})
    release.paths.source.mkdir()
    as_resolved(release, {**docker.services, **docker.hidden})
    return release


def log_text(release: Release) -> str:
    return release.paths.log.read_text()
