"""The repository by mirror, and the version that the installing script chooses."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import pytest

from gpuhost.domain.apt.vendors import Archive
from gpuhost.domain.toolkit.packages import PACKAGES
from gpuhost.plans.toolkit_packages import release, repository
from gpuhost.settings import Settings

SCRIPT = files("gpuhost.remote").joinpath("toolkit_packages.sh").read_text("utf-8")
APT_CACHE = """#!/bin/sh
case $1 in
    madison)
        shift
        for package; do
            for version in $(awk -v name="$package" '$1 == name { $1 = ""; print }' "$TABLE"); do
                echo "$package |   $version | http://mirror.example  Packages"
            done
        done
        ;;
    policy) echo "$2:"; echo "  Installed: (none)"; echo "  Candidate: $CANDIDATE" ;;
esac
"""
APT_GET = """#!/bin/sh
echo "$@" >"$CALLED"
"""
DPKG = """#!/bin/sh
[ "$2" = "$OLD" ]
"""


@pytest.mark.parametrize(
    ("mirror", "base"),
    [
        ("nvidia", "https://nvidia.github.io/libnvidia-container"),
        ("ustc", "https://mirrors.ustc.edu.cn/libnvidia-container"),
        ("http://10.0.0.1/nvidia/", "http://10.0.0.1/nvidia"),
    ],
)
def test_the_repository_by_mirror(mirror: str, base: str) -> None:
    archive = repository(Settings(toolkit_mirror=mirror), "arm64")
    assert archive.key_url == f"{base}/gpgkey"
    assert archive.sources.splitlines()[1:] == [
        "Types: deb",
        f"URIs: {base}/stable/deb/arm64",
        "Suites: /",
        "Architectures: arm64",
        "Signed-By: /etc/apt/keyrings/nvidia-container-toolkit.asc",
    ]
    assert archive.fingerprint == "C95B321B61E88C1809C4F759DDCAE044F796ECB0"
    assert archive.archive == Archive("nvidia-container-toolkit", "stable")


def test_the_release_of_a_package_version() -> None:
    assert [release(version) for version in ("1.20.0-1", "1.20.0~rc.1-1", "1.20.0")] == [
        "1.20.0",
        "1.20.0~rc.1",
        "1.20.0",
    ]


@dataclass(frozen=True)
class Outcome:
    """The result of the script: the packages for apt-get to install; None: no installation."""

    status: int
    installed: list[str] | None
    options: list[str]
    stderr: str


def _run(
    folder: Path, release: str, offered: dict[str, str], candidate: str = "(none)", old: str = ""
) -> Outcome:
    """Run the script with an apt that offers these versions: separated by spaces, newest first."""
    for name, text in (("apt-cache", APT_CACHE), ("apt-get", APT_GET), ("dpkg", DPKG)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    table = folder / "table"
    table.write_text("".join(f"{package} {versions}\n" for package, versions in offered.items()))
    called = folder / "called"
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "TABLE": str(table),
        "CALLED": str(called),
        "CANDIDATE": candidate,
        "OLD": old,
        "LC_ALL": "C",
    }
    done = subprocess.run(
        ["sh", "-s", "--", "900", release, *PACKAGES],
        input=SCRIPT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    words = called.read_text().split() if called.exists() else []
    after = words.index("install") + 1 if words else 0
    return Outcome(done.returncode, words[after:] or None, words[: after - 1], done.stderr)


ALL = dict.fromkeys(PACKAGES, "1.20.0-1 1.19.1-1 1.17.8-2 1.17.8-1 1.9.0-1")


@pytest.mark.parametrize(
    ("requested", "offered", "candidate", "version"),
    [
        ("", ALL, "1.20.0-1", "1.20.0-1"),
        ("", ALL, "1.17.8-1", "1.17.8-1"),
        ("", ALL, "1.21.0-1", "1.20.0-1"),
        ("", ALL | {PACKAGES[3]: "1.19.1-1 1.9.0-1"}, "1.20.0-1", "1.19.1-1"),
        ("", ALL | {PACKAGES[0]: "1.20.0-1 1.20.0-1 1.19.1-1"}, "(none)", "1.20.0-1"),
        ("", dict.fromkeys(PACKAGES, "1.20.0~rc.1-1 1.19.1-1 1.20.0-1"), "(none)", "1.20.0-1"),
        ("1.17.8", ALL, "1.20.0-1", "1.17.8-2"),
        ("1.19.1", ALL, "1.20.0-1", "1.19.1-1"),
    ],
    ids=[
        "apt's candidate",
        "a pinned candidate",
        "a candidate that is only installed",
        "a mirror that lags behind with one package",
        "two repositories with the same packages",
        "a release candidate is older than its release",
        "the newest revision of the declared release",
        "the declared release",
    ],
)
def test_all_packages_have_one_version(
    tmp_path: Path, requested: str, offered: dict[str, str], candidate: str, version: str
) -> None:
    outcome = _run(tmp_path, requested, offered, candidate)
    assert (outcome.status, outcome.stderr) == (0, "")
    assert outcome.installed == [f"{package}={version}" for package in PACKAGES]
    assert {"--allow-downgrades", "--allow-change-held-packages"} <= set(outcome.options)
    assert {"DPkg::Lock::Timeout=900", "--no-remove"} <= set(outcome.options)


def test_only_an_older_runtime_may_be_removed(tmp_path: Path) -> None:
    """nvidia-container-toolkit breaks it, and has its programs."""
    old = _run(tmp_path, "", ALL, old="nvidia-container-runtime")
    assert "--no-remove" not in old.options
    assert "--no-remove" in _run(tmp_path, "", ALL, old="nvidia-docker2").options


@pytest.mark.parametrize(
    ("requested", "offered", "says"),
    [
        ("1.18.0", ALL, r"at one version 1.18.0; versions that all have: 1.9.0-1 1.17.8-1"),
        ("1.2", ALL, r"at one version 1.2; "),
        ("", ALL | {PACKAGES[2]: "1.16.0-1"}, r"versions that all have: none"),
        ("", {}, r"versions that all have: none"),
    ],
    ids=["no such release", "an incomplete release", "no version in common", "no repository"],
)
def test_nothing_is_installed_if_no_version_fits(
    tmp_path: Path, requested: str, offered: dict[str, str], says: str
) -> None:
    outcome = _run(tmp_path, requested, offered)
    assert outcome.status == 1
    assert outcome.installed is None
    assert says in outcome.stderr
