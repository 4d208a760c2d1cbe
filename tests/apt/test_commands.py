"""No package is removed that gpuhost has not named, a source that nothing needs may fail, and a run
reads unchanged package lists once.

The real commands, with a stand-in of apt.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyinfra.api import StringCommand

from gpuhost.domain.nvidia.held_packages import OF_DRIVERS
from gpuhost.remote import apt
from gpuhost.remote.apt import apt_install, apt_remove, apt_update

# As apt 3.0.3 does: `Remv NAME [VERSION]` in a simulation, and exit status 100 with --no-remove.
APT_GET = """#!/bin/sh
case " $* " in
    *' -s '*) for package in $WOULD_REMOVE; do echo "Remv $package [1.0]"; done; exit ;;
    *' --no-remove '*)
        if [ "$WOULD_REMOVE" ]; then
            echo 'E: Packages need to be removed but remove is disabled.' >&2
            exit 100
        fi ;;
esac
[ ! "${SAYS-}" ] || printf '%s\n' "$SAYS"
echo "$*" >>"$CALLED"
exit "${STATUS:-0}"
"""


# What an update looks at, of the machine that runs the tests.
PATHS = ("/etc/apt", "/var/lib/apt/lists", "/run/gpuhost-apt-lists")


def on_own_paths(directory: Path, text: str) -> str:
    for path in PATHS:
        assert path in text
        own = directory / path.removeprefix("/")
        text = re.sub(rf"(?<=[ =]){path}(?=[ \n])", str(own), text)
        (own.parent if path.startswith("/run/") else own).mkdir(parents=True, exist_ok=True)
    return text


@dataclass(frozen=True)
class Outcome:
    """+ called: apt-get was run for more than a simulation, and changed something."""

    status: int
    called: bool
    stderr: str
    stdout: str = ""


def outcome(
    directory: Path, command: StringCommand, would_remove: str, status: int = 0, says: str = ""
) -> Outcome:
    program, called = directory / "apt-get", directory / "called"
    program.write_text(APT_GET)
    program.chmod(0o755)
    environment = {
        "PATH": f"{directory}:{os.environ['PATH']}",
        "WOULD_REMOVE": would_remove,
        "CALLED": str(called),
        "STATUS": str(status),
        "SAYS": says,
    }
    stdin = on_own_paths(directory, str(command.connector_arguments["_stdin"]))
    done = subprocess.run(
        ["sh", "-c", str(command)], input=stdin, env=environment, capture_output=True, text=True
    )
    return Outcome(done.returncode, called.exists(), done.stderr, done.stdout)


PERSISTENT = "iptables-persistent netfilter-persistent"
UFW = apt_install(["ufw"])
DRIVER = apt_install(["nvidia-driver"], replaces=OF_DRIVERS)
ENGINE = apt_remove(["docker.io", "runc"])


@pytest.mark.parametrize(
    ("command", "would_remove", "named"),
    [
        (UFW, PERSISTENT, f"would also remove {PERSISTENT}; if nothing needs that, apt-get remove"),
        (apt_install(["systemd-timesyncd"]), "ntpd-rs", "would also remove ntpd-rs;"),
        (DRIVER, "libnvidia-gl-535 cuda-12-2 nvidia-utils-535", "would also remove cuda-12-2;"),
        (ENGINE, "docker.io runc podman", "would also remove podman;"),
    ],
)
def test_what_would_be_removed_is_named_and_nothing_changes(
    tmp_path: Path, command: StringCommand, would_remove: str, named: str
) -> None:
    made = outcome(tmp_path, command, would_remove)
    assert made.status != 0
    assert not made.called
    assert named in made.stderr


@pytest.mark.parametrize(
    ("command", "would_remove"),
    [
        (UFW, ""),
        (DRIVER, ""),
        (DRIVER, "libnvidia-gl-535:i386 libegl-nvidia0 libcuda1 glx-alternative-nvidia"),
        (ENGINE, "docker.io runc"),
        # Nothing is removed by it.
        (apt_update(), PERSISTENT),
    ],
)
def test_what_is_named_may_be_removed(
    tmp_path: Path, command: StringCommand, would_remove: str
) -> None:
    assert outcome(tmp_path, command, would_remove) == Outcome(0, called=True, stderr="")


@pytest.mark.parametrize("command", [UFW, DRIVER, ENGINE])
def test_another_failure_stays_as_it_is(tmp_path: Path, command: StringCommand) -> None:
    assert outcome(tmp_path, command, "", status=100) == Outcome(100, called=True, stderr="")


# Words of apt 2.6 and 3.0, with two sources that may fail.
UPDATE = apt_update(["http://127.0.0.1:9/dead", "https://old.example.invalid/apt"])
DEAD = "E: Failed to fetch http://127.0.0.1:9/dead/dists/stable/InRelease  Connection refused"
OLD = "E: The repository 'https://old.example.invalid/apt x Release' does not have a Release file."
OWN = "E: Failed to fetch http://near.example.invalid/debian/dists/trixie/InRelease  404"
SOME = "E: Some index files failed to download. They have been ignored, or old ones used instead."
LOCK = "E: Unable to lock directory /var/lib/apt/lists/"


@pytest.mark.parametrize("says", [f"{DEAD}\n{SOME}", f"Err:1 x\n{OLD}\nW: y\n{DEAD}\n{SOME}"])
def test_a_source_of_others_does_not_stop_an_installation(tmp_path: Path, says: str) -> None:
    made = outcome(tmp_path, UPDATE, "", status=100, says=says)
    assert made.status == 0
    assert "continues without the sources that fail: E: " in made.stdout
    assert DEAD in made.stdout


@pytest.mark.parametrize("says", [f"{DEAD}\n{OWN}\n{SOME}", f"{OWN}\n{SOME}", LOCK, "", SOME])
def test_any_other_failure_of_an_update_does(tmp_path: Path, says: str) -> None:
    made = outcome(tmp_path, UPDATE, "", status=100, says=says)
    assert made.status == 100
    assert made.stderr.strip() == says
    assert outcome(tmp_path, apt_update(), "", status=100, says=DEAD).status == 100


def test_an_archive_without_an_architecture_that_was_added(tmp_path: Path) -> None:
    """Ubuntu keeps arm64 in another archive (actions/runner-images#10901)."""
    lacks = (
        "E: Failed to fetch http://near.example.invalid/dists/x/main/binary-{}/Packages  404  No"
    )
    own, *_ = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.split()
    says = "\n".join(lacks.format(name) for name in ("s390x", own, "s390x"))
    made = outcome(tmp_path, UPDATE, "", status=100, says=f"{says}\n{SOME}")
    assert made.status == 100
    told = made.stderr.strip().removeprefix(f"{says}\n{SOME}").strip()
    assert told.startswith("the archive has nothing for s390x, which dpkg --add-architecture added")
    assert told.endswith(f'"Architectures: {own}" or [arch={own}]')
    assert "\n" not in told


def test_an_update_that_succeeds_prints_nothing(tmp_path: Path) -> None:
    made = outcome(tmp_path, UPDATE, "", says="Hit:1 http://near.example.invalid/debian trixie")
    assert (made.status, made.stdout, made.stderr) == (0, "", "")


def updates(directory: Path) -> int:
    """How often apt has read the lists."""
    called = directory / "called"
    return called.read_text().count(" update") if called.exists() else 0


def test_a_run_reads_unchanged_lists_once(tmp_path: Path) -> None:
    for _ in range(3):
        assert outcome(tmp_path, UPDATE, "").status == 0
    assert updates(tmp_path) == 1


@pytest.mark.parametrize("hours", [-1, 0, 1])
@pytest.mark.parametrize(
    "changed",
    ["etc/apt/sources.list", "etc/apt/keyrings/new.asc", "var/lib/apt/lists/of_another_update"],
)
def test_it_reads_them_again_after_a_change(tmp_path: Path, changed: str, hours: int) -> None:
    """+ hours: by which the host's clock was put forward in between"""
    file = tmp_path / changed
    file.parent.mkdir(parents=True)
    file.write_text("before")
    outcome(tmp_path, UPDATE, "")
    file.write_text("now")
    then = file.stat().st_mtime + hours * 3600
    os.utime(file, (then, then))
    outcome(tmp_path, UPDATE, "")
    assert updates(tmp_path) == 2


def test_the_next_run_reads_them_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome(tmp_path, UPDATE, "")
    monkeypatch.setattr(apt, "RUN", "another")
    outcome(tmp_path, apt_update(), "")
    assert updates(tmp_path) == 2


@pytest.mark.parametrize(("status", "ends"), [(100, 0), (1, 1)])
def test_lists_that_were_not_read_completely_are_read_again(
    tmp_path: Path, status: int, ends: int
) -> None:
    says = DEAD if ends == 0 else LOCK
    assert outcome(tmp_path, UPDATE, "", status=status, says=says).status == ends
    assert outcome(tmp_path, UPDATE, "").status == 0
    assert updates(tmp_path) == 2
