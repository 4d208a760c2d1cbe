"""What a container puts in place of its files is not followed by the reader, which is root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpuhost.runner.state.release import Release
from gpuhost.snapshot import files_on_host
from tests.runner.host_fixtures import as_resolved, programs
from tests.snapshot.test_apps_details import (
    complaints,
    details,
    directories,
    make_certificate,
    release,
)

__all__ = ["programs", "release"]


def swap(release: Release, name: str, *, mounted: str) -> None:
    """A link to a copy in place of a directory in shared/. + mounted: below home, by a container"""
    place, source = release.app.shared / name, str(release.app.home / mounted)
    as_resolved(release, {"web": {"volumes": [{"type": "bind", "source": source}]}})
    place.rename(release.app.home / "moved")
    place.symlink_to(release.app.home / "moved")


def states(release: Release) -> set[str]:
    """What is said of the site's file."""
    return {said for said in complaints(release) if "site/a.conf" in said}


@pytest.mark.parametrize("mounted", ["shared", "shared/site"])
def test_a_link_to_a_directory(release: Release, mounted: str) -> None:
    """A person can make one in shared/ if no container can."""
    make_certificate(release, 20)
    swap(release, "site", mounted=mounted)
    is_of_person = mounted == "shared/site"
    assert states(release) == (set() if is_of_person else {"/shared/site/a.conf is missing"})
    certificate = details(release).certificate
    assert certificate and certificate.exists == is_of_person


def test_a_link_in_place_of_a_declared_directory(release: Release) -> None:
    swap(release, "data", mounted="shared")
    assert [now for _, _, now, _ in directories(release)] == [""]
    schedule = details(release).schedule
    assert schedule and schedule.has_data


def test_a_link_below_a_declared_directory(release: Release) -> None:
    data = release.app.shared / "data"
    (data / "inner").symlink_to(release.app.home)
    with pytest.raises(NotADirectoryError):
        files_on_host.content(data / "inner/runner.pyz", {str(data)})


def test_a_link_to_a_file(release: Release) -> None:
    file = release.app.shared / "site/a.conf"
    file.symlink_to(file.rename(file.with_name("moved")))
    assert states(release) == {"/shared/site/a.conf is changed"}


def test_what_is_swapped_before_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, look = tmp_path / "file", os.fstat
    path.write_text("first")

    def swap_then_look(number: int) -> os.stat_result:
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        return look(number)

    monkeypatch.setattr(os, "fstat", swap_then_look)
    assert files_on_host.content(path) == b"first"
