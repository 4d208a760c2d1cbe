"""What makes apt refuse every source, asked of the real apt; and clashes put aside."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpuhost.domain.apt.archive import Distribution
from gpuhost.domain.apt.clashes import Aside, aside, clashes, conflicting, mark
from gpuhost.domain.apt.conflicts import conflicts, definitions, malformed
from gpuhost.domain.apt.entry import SourceFile
from gpuhost.domain.apt.mirrors import mirror_called
from gpuhost.domain.apt.plan import HostSources, to_mirror, to_original
from gpuhost.domain.apt.repository import Repository
from gpuhost.domain.apt.vendors import Archive
from tests.apt.test_plan import LIST, FakeHost
from tests.needs import needs

CASES = yaml.safe_load((Path(__file__).parent / "refused.yaml").read_text())
DOCKER = Repository(
    name="docker",
    uri="https://download.docker.com/linux/ubuntu",
    suite="jammy",
    component="stable",
    architecture="amd64",
    key_url="https://download.docker.com/linux/ubuntu/gpg",
    fingerprint="9DC858229FC7DD38854AE2D88D81803C0EBFCD88",
    archive=Archive("docker", "ubuntu jammy"),
)
JAMMY = Distribution("ubuntu", "jammy", "amd64")
by_name = pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])


def path_of(name: str) -> str:
    return f"/etc/apt/{name}" if name == "sources.list" else f"/etc/apt/sources.list.d/{name}"


def short(text: str) -> str:
    return text.removeprefix("/etc/apt/").removeprefix("sources.list.d/")


def is_refused(case: dict[str, Any], version: str) -> bool:
    """Whether an apt of this version refuses the sources of a case."""
    is_older = "until" not in case or numbers(version) < numbers(case["until"])
    return "bad" in case or ("two" in case and is_older)


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))


def files_of(case: dict[str, Any]) -> list[SourceFile]:
    files = [SourceFile(path_of(name), text) for name, text in case["files"].items()]
    return [*files, SourceFile(DOCKER.sources_path, DOCKER.sources)] if case.get("ours") else files


def complaint_of_apt(files: list[SourceFile], root: Path) -> str:
    """What the real apt says of these sources; empty: it reads them."""
    (root / "etc/apt/sources.list.d").mkdir(parents=True)
    for file in files:
        (root / file.path.removeprefix("/")).write_text(file.content)
    done = subprocess.run(
        [
            *("apt-get", "indextargets", f"-oDir::State={root}/state"),
            f"-oDir::Etc::SourceList={root}/etc/apt/sources.list",
            f"-oDir::Etc::SourceParts={root}/etc/apt/sources.list.d",
            *("-oAPT::Architecture=amd64", "-oAPT::Architectures::=amd64"),
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin", "APT_CONFIG": "/dev/null"},
    )
    refused = "E: The list of sources could not be read." in done.stderr
    assert refused == (done.returncode != 0), done.stderr
    return done.stderr if refused else ""


@by_name
@pytest.mark.parametrize("version", ["2.4.13", "2.9.8", "3.0.3"])
def test_what_apt_refuses_is_found(case: dict[str, Any], version: str) -> None:
    files = files_of(case)
    found = conflicts(files, "amd64", version)
    pairs = [f"{short(str(c.one))} {short(str(c.other))}" for c in found]
    expected = [case["two"]] if "two" in case and is_refused(case, version) else []
    assert pairs == expected
    assert [short(place) for place in malformed(files)] == case.get("bad", [])


@needs("apt-get")
@by_name
def test_the_real_apt_agrees(case: dict[str, Any], tmp_path: Path) -> None:
    complaint = complaint_of_apt(files_of(case), tmp_path)
    version = subprocess.run(["apt-get", "--version"], capture_output=True, text=True).stdout
    refused = is_refused(case, version)
    assert bool(complaint) == refused, complaint
    assert ("Conflicting values set for option" in complaint) == (refused and "two" in case)


@needs("apt-get")
@pytest.mark.parametrize("case", [c for c in CASES if "aside" in c], ids=lambda case: case["name"])
def test_after_clashes_are_put_aside_apt_reads_the_rest(
    case: dict[str, Any], tmp_path: Path
) -> None:
    files = files_of(case)
    change = aside(sources(files), "docker", clashes(files, DOCKER))
    edited = {f"{p}:{a}-{b}" for p, lines in change.edited.items() for a, b in lines}
    assert {short(place) for place in {*change.moved, *edited}} == set(case["aside"])
    after = carried_out(files, change)
    assert clashes(after, DOCKER) == []
    ours = SourceFile(DOCKER.sources_path, DOCKER.sources)
    assert complaint_of_apt([*(f for f in after if f.path != ours.path), ours], tmp_path) == ""
    others = [d.entry for d in definitions(files) if d not in clashes(files, DOCKER)]
    kept = [d.entry for d in definitions(after)]
    assert kept == [entry for entry in others if entry in kept]
    assert DOCKER.sources_path in change.moved or kept == others


@pytest.mark.parametrize("case", [c for c in CASES if "ours" in c], ids=lambda case: case["name"])
def test_what_stops_apt_because_of_our_file_is_found_before_anything_else(
    case: dict[str, Any],
) -> None:
    found = [short(str(d)) for d in conflicting(files_of(case), "docker", "amd64", "2.6.1")]
    two = case.get("two", "docker.sources:2").split()
    assert found == [place for place in two if not place.startswith("docker.sources")]


def sources(files: list[SourceFile]) -> HostSources:
    return HostSources(tuple(files), (), None, JAMMY)


def carried_out(files: list[SourceFile], change: Aside) -> list[SourceFile]:
    """The files after the commands of the operation."""
    after = []
    for file in files:
        lines = file.content.split("\n")
        for first, last in change.edited.get(file.path, ()):
            lines[first - 1 : last] = [mark("docker") + line for line in lines[first - 1 : last]]
        after.append(SourceFile(file.path, "\n".join(lines)))
    return [file for file in after if file.path not in change.moved]


def test_a_mirror_in_use_is_told_of_what_was_put_aside() -> None:
    """Otherwise the next run would take it for an edit, and restore the line."""
    docker = "deb https://download.docker.com/linux/ubuntu jammy stable"
    before = f"deb http://near.example.invalid/ubuntu jammy main\n{docker}\n"
    mirror = mirror_called("ustc", https=True)
    host = FakeHost({LIST: before}, Distribution("ubuntu", "jammy", "amd64"), {}).at(mirror)
    change = aside(host.sources, "docker", clashes(host.sources.files, DOCKER))
    saved = f"/var/lib/gpuhost/apt/original{LIST}"
    assert dict(change.edited) == {LIST: ((2, 2),), saved: ((2, 2),)}
    (edited,) = carried_out(list(host.sources.files), change)
    kept = before.replace(docker, mark("docker") + docker)
    host = FakeHost({LIST: edited.content}, host.distribution, {LIST: kept}, change.record)
    assert to_mirror(host.sources, host.record, with_security=False).is_empty
    assert host.after(to_original(host.sources)).files == {LIST: kept}
