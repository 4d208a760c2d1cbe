"""apt's sources in the reply of the collector."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuhost.checks.registry import run_checks
from gpuhost.domain.apt.documents import entries, own_archives
from gpuhost.domain.apt.release_files import list_file
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.apt import RECORD
from tests.apt.test_hostile import text
from tests.recorded import HOSTS, probes
from tests.snapshot.local import collect, command

ORIGINAL = "/var/lib/gpuhost/apt/original"


def read(out: str, **changed: dict[str, Any]) -> Snapshot:
    return Snapshot(probes("debian13", {}, {"apt_sources": {"out": out}, **changed}))


def test_files_and_their_originals_are_separate() -> None:
    sources = read(
        f"/etc/apt/sources.list\n:deb a\n:\n{ORIGINAL}/etc/apt/sources.list\n:deb b\n"
        "/etc/apt/mirrors/debian.list\n:http://a\n"
    ).apt.sources
    assert [(file.path, file.content) for file in sources.files] == [
        ("/etc/apt/sources.list", "deb a\n\n"),
        ("/etc/apt/mirrors/debian.list", "http://a\n"),
    ]
    assert [(file.path, file.content) for file in sources.saved] == [
        ("/etc/apt/sources.list", "deb b\n")
    ]


@pytest.mark.parametrize(
    "path", ["/etc/apt/sources.list.d/a b.list", "/etc/apt/sources.list.d/x.save", "/etc/passwd"]
)
def test_files_that_apt_does_not_read_are_ignored(path: str) -> None:
    assert read(f"{path}\n:deb a b c\n").apt.sources.files == ()


def test_a_line_that_looks_like_a_files_name_is_a_line() -> None:
    (file,) = read("/etc/apt/sources.list\n:/etc/apt/mirrors/x\n").apt.sources.files
    assert file.content == "/etc/apt/mirrors/x\n"


@pytest.mark.parametrize(
    ("uri", "suite", "name"),
    [
        (
            "http://a.invalid/debian/",
            "trixie",
            "a.invalid_debian_dists_trixie_InRelease",
        ),
        (
            "http://10.0.0.1:8080/x_y/debian",
            "sid",
            "10.0.0.1:8080_x%5fy_debian_dists_sid_InRelease",
        ),
        (
            "mirror+file:/etc/apt/mirrors/debian.list",
            "sid",
            "_etc_apt_mirrors_debian.list_dists_sid_InRelease",
        ),
        (
            "mirror+file:///etc/apt/mirrors/debian.list",
            "sid",
            "_etc_apt_mirrors_debian.list_dists_sid_InRelease",
        ),
    ],
)
def test_the_name_of_a_fetched_file(uri: str, suite: str, name: str) -> None:
    assert list_file(uri, suite) == name


def test_an_archive_of_another_origin_is_not_the_distributions() -> None:
    fetched = "/var/lib/apt/lists/a.invalid_debian_dists_trixie_InRelease:Origin: {}\n"
    sources = "/etc/apt/sources.list\n:deb http://a.invalid/debian trixie main\n"
    own = read(sources, apt_releases={"out": fetched.format("Debian")})
    vendors = read(sources, apt_releases={"out": fetched.format("Vendor")})
    assert own.apt.sources.own_suites() == (("debian", "trixie"),)
    assert vendors.apt.sources.own_suites() == ()


@pytest.mark.parametrize("rc", [None, 1, 4, 127])
def test_sources_that_could_not_be_read(rc: int | None) -> None:
    with pytest.raises(NotRead, match="apt's sources"):
        _ = read("", apt_sources={"rc": rc, "out": "", "err": "sed: not found"}).apt


def test_passwords_stay_on_the_host(tmp_path: Path) -> None:
    """The collector itself, with a `sed` that reads these lines."""
    list_ = tmp_path / "list"
    list_.write_text(
        "deb https://user:p@ss@h.invalid/debian x\ndeb [a=b] http://u@h.invalid/a@b x\n"
    )
    real = shutil.which("sed")
    command(tmp_path / "bin", "sed", f'exec {real} "$1" "$2" "$3" "$4" "$5" "$6" "$7" {list_}')
    assert collect(commands=tmp_path / "bin").probes.get("apt_sources").out.splitlines() == [
        str(list_),
        ":deb https://***@h.invalid/debian x",
        ":deb [a=b] http://***@h.invalid/a@b x",
    ]


listings = text.map(
    lambda content: "/etc/apt/sources.list\n:" + content.replace("\n", "\n:")
) | st.text(max_size=100)
statuses = st.sampled_from([0, 0, 0, 2, 127, None])
declarations = st.sampled_from(
    [
        Settings(),
        Settings(apt_mirror="ustc", apt_mirror_security=True),
        Settings(apt_mirror="auto"),
    ]
)


@settings(deadline=None)
@given(listings, statuses, st.text(max_size=200), st.text(max_size=200), declarations)
def test_every_check_has_a_result(
    listing: str, rc: int | None, releases: str, record: str, settings: Settings
) -> None:
    snapshot = Snapshot(
        probes(
            "debian13",
            {RECORD: record},
            {"apt_sources": {"rc": rc, "out": listing}, "apt_releases": {"out": releases}},
        )
    )
    assert len(run_checks(snapshot, settings, ["apt"])) == 7


RECORDED = [p.stem for p in sorted(HOSTS.glob("*.yaml")) if "apt_sources" in probes(p.stem)]


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_hosts_name_no_server_of_the_distribution(name: str) -> None:
    snapshot = Snapshot(probes(name))
    own = own_archives(snapshot.apt.sources.files, snapshot.apt.sources.distribution)
    for _, entry in entries(snapshot.apt.sources.files):
        if own.has(entry):
            assert all("//archive.example.invalid/" in uri for uri in entry.uris)
