"""Whose archive a source is: by URI, key and what apt has fetched, never by a file name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gpuhost.domain.apt.clashes import clashes
from gpuhost.domain.apt.conflicts import definitions, releases
from gpuhost.domain.apt.entry import SourceFile
from gpuhost.domain.apt.release_files import list_file
from gpuhost.domain.apt.repository import Repository
from gpuhost.domain.apt.vendor_keys import CUDA_KEYS, DOCKER_KEY, TOOLKIT_KEY
from gpuhost.domain.apt.vendors import Archive
from gpuhost.domain.nvidia.driver_choice import NoDriverPackagesError
from gpuhost.plans.apt_archives import distribution_archives, optional_archives, owner
from gpuhost.plans.nvidia_repository import components_file
from gpuhost.snapshot import Snapshot
from tests.recorded import probes

CASES = yaml.safe_load((Path(__file__).parent / "owners.yaml").read_text())
by_name = pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
KEYS = {
    "Docker": DOCKER_KEY,
    "NVIDIA's toolkit": TOOLKIT_KEY,
    "CUDA for Debian 13": CUDA_KEYS["debian13"][1],
    "Ubuntu": "F6ECB3762474EDA9D21B7022871920D1991BC93C",
    "Debian": "4D64FEC119C2029067D6E791F8D2585B8783D481",
    "a company": "698C426BEE13844FBB64F9642D826E2EE5CA54E1",
}


@pytest.fixture(autouse=True)
def _keyrings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with a vendor's key cannot be made here: what is in them is said by the case."""
    case = getattr(request.node, "callspec", None) and request.node.callspec.params["case"]
    keyrings = {path: KEYS[owner] for path, owner in (case or {}).get("keyrings", {}).items()}
    monkeypatch.setattr("gpuhost.snapshot.apt.read_keyrings", lambda _: keyrings)


def snapshot_of(case: dict[str, Any]) -> Snapshot:
    id, codename, *architecture = case["host"].split()
    name = architecture[0] if architecture else "amd64"
    listing = "".join(
        f"{path}\n" + "".join(f":{line}\n" for line in text.splitlines())
        for path, text in case["files"].items()
    )
    files = {"/etc/os-release": f'ID={id}\nVERSION_ID="24.04"\nVERSION_CODENAME={codename}\n'}
    changed: dict[str, Any] = {"apt_sources": {"rc": 0, "out": listing}}
    changed["apt_releases"] = {"rc": 0, "out": _heads(case, name)}
    machine = {"amd64": "x86_64", "arm64": "aarch64"}[name]
    changed["kernel"] = {"rc": 0, "out": f"Linux host 6.8.0-1-generic {machine}\n"}
    return Snapshot(probes("debian13", files, changed))


def _heads(case: dict[str, Any], architecture: str) -> str:
    """What grep finds in apt's lists, for the files that a case says were fetched."""
    files = [SourceFile(path, text) for path, text in case["files"].items()]
    names = [
        list_file(uri, suite)
        for definition in definitions(files)
        for uri, suite in releases(definition.entry, architecture)
    ]
    return "".join(
        f"/var/lib/apt/lists/{name}:{head}: {value}\n"
        for start, values in case.get("fetched", {}).items()
        for name in names
        if name.startswith(start)
        for head, value in zip(("Origin", "Label"), values.split(", "), strict=False)
    )


@by_name
def test_the_owner_of_each_source(case: dict[str, Any]) -> None:
    snapshot = snapshot_of(case)
    own = distribution_archives(snapshot)
    every = definitions(snapshot.apt.sources.files)
    assert [owner(d.entry, own, snapshot) for d in every] == case["owners"]


@by_name
def test_what_a_driver_needs_is_there_added_or_refused_by_name(case: dict[str, Any]) -> None:
    snapshot = snapshot_of(case)
    wanted = ("restricted", "multiverse") if "ubuntu" in case["host"] else ("contrib", "non-free")
    if "refused" in case:
        with pytest.raises(NoDriverPackagesError, match=case["refused"]):
            components_file(snapshot, wanted)
        return
    added = components_file(snapshot, wanted)
    lines = added.content.splitlines() if added else []
    needed = [line.split()[1:] for line in lines if line.startswith("Components:")]
    assert sorted({word for words in needed for word in words}) == sorted(case["missing"])


@pytest.mark.parametrize("case", [c for c in CASES if "archives" in c], ids=lambda c: c["name"])
def test_which_of_its_archives_it_is(case: dict[str, Any]) -> None:
    suites = snapshot_of(case).apt.sources.own_suites()
    assert [f"{archive} {suite}" for archive, suite in suites] == case["archives"]


def test_a_proxy_of_dockers_archive_stays_beside_ours() -> None:
    case = next(c for c in CASES if c["name"].startswith("a proxy without a key"))
    docker = Repository(
        "docker", "https://a.invalid/linux/ubuntu", "noble", "stable", "amd64", "", "",
        archive=Archive("docker", "ubuntu noble"),
    )  # fmt: skip
    snapshot = snapshot_of(case)
    assert clashes(snapshot.apt.sources.files, docker) == []
    proxy = definitions(snapshot.apt.sources.files)[1]
    assert owner(proxy.entry, distribution_archives(snapshot), snapshot) == "Docker's archive"


def test_sources_without_which_an_installation_goes_on() -> None:
    """The distribution's own and gpuhost's are not among them."""
    sources = (
        "deb http://near.example.invalid/debian bookworm main",
        "deb http://near.example.invalid/deb bookworm main",
        "deb http://ada:secret@files.example.invalid/tools/ stable main",
        "deb https://nvidia.github.io/nvidia-docker/debian10/amd64 /",
        "deb https://download.docker.com/linux/debian bookworm stable",
        "deb https://ppa.launchpadcontent.net/ada/tools/ubuntu jammy main",
        "deb cdrom:[Debian GNU/Linux 12.5.0 _Bookworm_ - Official amd64 NETINST]/ bookworm main",
        "deb [trusted=yes] file:/srv/packages ./",
    )
    text = "\n".join(sources) + "\n"
    case = {
        "host": "debian bookworm",
        "files": {
            "/etc/apt/sources.list": text,
            "/etc/apt/sources.list.d/docker.sources": "# Written by gpuhost; changes are "
            "overwritten.\nTypes: deb\nURIs: https://download.docker.com/linux/debian\n"
            "Suites: bookworm\nComponents: stable\n",
        },
        "fetched": {"near.example.invalid_debian_dists_bookworm_": "Debian"},
    }
    assert set(optional_archives(snapshot_of(case))) == {
        "http://files.example.invalid/tools",
        "https://ppa.launchpadcontent.net/ada/tools/ubuntu",
        "cdrom:",
        "https://nvidia.github.io/nvidia-docker/debian10/amd64",
        "file:/srv/packages",
    }


def test_an_installation_needs_the_repository_that_was_added_for_it() -> None:
    """It was another's definition of the same archive when the host was read."""
    uri = "https://files.example.invalid/docker"
    text = f"deb {uri} bookworm stable\ndeb https://other.example.invalid/x bookworm main\n"
    snapshot = snapshot_of({"host": "debian bookworm", "files": {"/etc/apt/sources.list": text}})
    added = Repository("docker", uri, "bookworm", "stable", "amd64", "", "")
    other = "https://other.example.invalid/x"
    assert set(optional_archives(snapshot)) == {uri, other}
    assert set(optional_archives(snapshot, added)) == {other}
