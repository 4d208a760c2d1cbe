"""The sources files of each kind of host, changed to a mirror."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gpuhost.domain.apt.duplicates import duplicates
from gpuhost.domain.apt.entry import SourceFile
from gpuhost.domain.apt.mirrors import ARCHIVES, HOSTS, mirror_called
from gpuhost.domain.apt.sources import mirrored
from tests.apt.cases import Case, all_cases
from tests.needs import needs

CASES = all_cases()
by_name = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def contents(files: list[SourceFile]) -> dict[str, str]:
    return {file.path: file.content for file in files}


def rewritten(case: Case, files: list[SourceFile] | None = None) -> list[SourceFile]:
    return mirrored(
        files or case.files, case.distribution, case.mirror, with_security=case.with_security
    )


def test_number_of_cases() -> None:
    assert len(CASES) == 32
    assert sum(bool(case.changed) for case in CASES) == 29


@by_name
def test_the_files_are_as_expected(case: Case) -> None:
    assert contents(rewritten(case)) == case.after


@by_name
def test_a_second_rewrite_changes_nothing(case: Case) -> None:
    assert contents(rewritten(case, rewritten(case))) == case.after


@by_name
def test_no_archive_is_defined_twice(case: Case) -> None:
    assert duplicates(rewritten(case), case.distribution) == []


def test_mixed_formats_are_named_as_duplicates() -> None:
    case = next(case for case in CASES if case.name == "mixed-formats")
    assert duplicates(case.files, case.distribution) == [
        "/etc/apt/sources.list: trixie contrib, trixie main",
        "/etc/apt/sources.list: trixie-updates main",
        "/etc/apt/sources.list: trixie-security main",
    ]


@needs("apt-get")
@pytest.mark.parametrize(
    "case",
    [case for case in CASES if not case.name.startswith("hostile-comments")],
    ids=lambda case: case.name,
)
def test_apt_reads_the_same_indexes_as_before(case: Case, tmp_path: Path) -> None:
    before = indexes(case.before, case, tmp_path / "before")
    after = indexes(case.after, case, tmp_path / "after")
    assert before
    assert {suite_and_component for _, suite_and_component in before} == {
        suite_and_component for _, suite_and_component in after
    }


def indexes(files: dict[str, str], case: Case, root: Path) -> list[tuple[str, str]]:
    """The indexes that apt would fetch: site, type, suite, component, architecture."""
    for path, content in files.items():
        target = root / path.removeprefix("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode())
    (root / "etc/apt/sources.list.d").mkdir(parents=True, exist_ok=True)
    architectures = [case.distribution.architecture, *case.distribution.foreign_architectures]
    done = subprocess.run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(SITE) $(TARGET_OF) $(RELEASE) $(COMPONENT) $(ARCHITECTURE)",
            "--no-release-info",
            f"-oDir::Etc::SourceList={root}/etc/apt/sources.list",
            f"-oDir::Etc::SourceParts={root}/etc/apt/sources.list.d",
            f"-oDir::State={root}/state",
            *(f"-oAPT::Architectures::={name}" for name in architectures),
            f"-oAPT::Architecture={case.distribution.architecture}",
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin", "APT_CONFIG": "/dev/null"},
    )
    assert "E:" not in done.stderr, done.stderr
    assert root.name == "before" or "configured multiple times" not in done.stderr
    rows = [line.partition(" ") for line in done.stdout.splitlines()]
    return [(site, rest) for site, _, rest in rows]


def test_a_security_suite_is_changed_only_if_declared() -> None:
    case = next(case for case in CASES if case.name == "debian-12-deb822")
    kept = mirrored(case.files, case.distribution, case.mirror, with_security=False)
    moved = mirrored(case.files, case.distribution, case.mirror, with_security=True)
    assert case.mirror.uri("debian-security") not in kept[0].content
    assert case.mirror.uri("debian-security") in moved[0].content


@pytest.mark.parametrize("name", sorted(HOSTS))
def test_a_known_mirror_has_every_archive(name: str) -> None:
    mirror = mirror_called(name, https=True)
    assert [mirror.uri(a) for a in ARCHIVES] == [f"https://{HOSTS[name]}/{a}" for a in ARCHIVES]
    assert mirror_called(name, https=False).base == f"http://{HOSTS[name]}"


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://mirror.example", "https://mirror.example"),
        ("https://mirror.example/", "https://mirror.example"),
        ("http://mirror.example:8080/apt/debian-security/", "http://mirror.example:8080/apt"),
        ("http://mirror.example/debian-cd", "http://mirror.example/debian-cd"),
    ],
)
def test_a_url_is_a_server_or_one_of_its_archives(url: str, base: str) -> None:
    assert mirror_called(url, https=False).base == base
