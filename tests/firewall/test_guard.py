"""The guard's own parts, run here: its lock, and its place in what ufw runs."""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import pytest

GUARD = files("gpuhost.plans").joinpath("firewall_guard.sh").read_text("utf-8")
BLOCK = "*filter\n:DOCKER-USER - [0:0]\n-A DOCKER-USER -j RETURN\nCOMMIT\n"
SAMPLE = '#!/bin/sh\nset -e\ncase "$1" in\nstart) echo sample ;;\nesac\n'


class Guard:
    """The guard with its paths in a directory; what it would load is written to a file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ufw = directory / "ufw"
        self.init = self.ufw / "after.init"
        self.lock = directory / "run" / "gpuhost-firewall" / "lock"
        self.ufw.mkdir()
        (directory / "run").mkdir()
        text = GUARD.replace("/run/", f"{directory}/run/").replace("/etc/ufw", f"{self.ufw}")
        text = text.replace("/var/lib/gpuhost", str(directory))
        self.defaults = directory / "defaults"
        text = text.replace("/etc/default/ufw", str(self.defaults))
        text = text.replace("\nload() {", f"\nload() {{ echo >{directory}/loaded; return 0;")
        text = text.replace("longest_change=300", "longest_change=-59")
        self.text = text.replace("lock 120", "lock 1")
        self.path = directory / "guard"
        self.path.write_text(self.text, "utf-8")
        self.path.chmod(0o755)

    def run(self, verb: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.path, verb], capture_output=True, text=True, timeout=60, check=False
        )

    def call(self, function: str) -> None:
        """One function of it, with nothing else."""
        text = self.text.replace('main "$@"', function)
        self.path.write_text(text, "utf-8")
        subprocess.run([self.path], check=True, timeout=60)
        self.path.write_text(self.text, "utf-8")

    def starts_ufw(self) -> str:
        done = subprocess.run(
            [self.init, "start"], capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout

    @property
    def loaded(self) -> bool:
        return (self.directory / "loaded").exists()


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    return Guard(tmp_path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Somebody holds the lock, and does not let go."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture
def held(guard: Guard) -> Iterator[Guard]:
    guard.lock.parent.mkdir(parents=True)
    with locked(guard.lock):
        yield guard


def test_only_its_owner_reaches_the_lock(guard: Guard) -> None:
    guard.lock.parent.mkdir(mode=0o755)
    old = guard.directory / "run" / "gpuhost-firewall.lock"
    old.touch(0o644)
    assert guard.run("load").returncode == 0
    assert guard.loaded
    assert guard.lock.parent.stat().st_mode & 0o777 == 0o700
    assert not old.exists(), "anybody could open it"


def test_who_has_the_old_lock_open_blocks_nothing(guard: Guard) -> None:
    old = guard.directory / "run" / "gpuhost-firewall.lock"
    old.touch(0o644)
    with locked(old):
        assert guard.run("load").returncode == 0


@pytest.mark.parametrize("verb", ["load", "confirm"])
def test_a_lock_that_is_held_ends_a_run_with_words(held: Guard, verb: str) -> None:
    done = held.run(verb)
    assert (done.returncode, held.loaded) == (1, False)
    assert "locked: another change" in done.stderr


def test_the_revert_does_not_wait_for_ever(held: Guard) -> None:
    done = held.run("revert")
    assert done.returncode == 0
    assert "reverted anyway" in done.stdout


def test_a_load_that_a_change_of_the_guard_causes_does_not_wait_for_it(held: Guard) -> None:
    done = subprocess.run(
        [held.path, "load"], env={"GPUHOST_FIREWALL_CHANGES": "1"}, timeout=60, check=True
    )
    assert (done.returncode, held.loaded) == (0, False)


def test_ufw_loads_our_rules_where_it_empties_docker_user(guard: Guard) -> None:
    (guard.ufw / "after.rules").write_text(BLOCK, "utf-8")
    guard.init.write_text(SAMPLE, "utf-8")
    guard.init.chmod(0o640)
    guard.call("follow_ufw")
    guard.call("follow_ufw")
    assert guard.init.read_text("utf-8").count("# gpuhost: begin") == 1
    assert guard.starts_ufw() == "", "what did not run before does not run now"
    assert guard.loaded
    guard.call("unfollow_ufw")
    assert guard.init.read_text("utf-8") == SAMPLE
    assert guard.init.stat().st_mode & 0o777 == 0o640


def test_a_script_of_others_still_runs(guard: Guard) -> None:
    (guard.ufw / "after6.rules").write_text(BLOCK, "utf-8")
    guard.init.write_text(SAMPLE, "utf-8")
    guard.init.chmod(0o750)
    guard.call("follow_ufw")
    assert guard.starts_ufw() == "sample\n"
    assert guard.loaded
    guard.call("unfollow_ufw")
    assert guard.init.read_text("utf-8") == SAMPLE
    assert guard.init.stat().st_mode & 0o777 == 0o750


def test_a_script_in_another_language_is_left_alone(guard: Guard) -> None:
    (guard.ufw / "after.rules").write_text(BLOCK, "utf-8")
    guard.init.write_text("#!/usr/bin/python3\n", "utf-8")
    guard.call("follow_ufw")
    assert guard.init.read_text("utf-8") == "#!/usr/bin/python3\n"


@pytest.mark.parametrize("exists", [True, False])
def test_only_root_can_hold_ufws_own_lock(guard: Guard, exists: bool) -> None:
    """ufw creates it readable by all, and whoever may read it can hold a shared lock."""
    lock = guard.directory / "run/ufw.lock"
    if exists:
        lock.touch(0o644)
    guard.call("run_ufw --version || true")
    assert lock.stat().st_mode & 0o777 == 0o600


def test_without_such_rules_ufw_is_left_alone(guard: Guard) -> None:
    (guard.ufw / "after.rules").write_text("*filter\n# :DOCKER-USER\nCOMMIT\n", "utf-8")
    guard.init.write_text(SAMPLE, "utf-8")
    guard.call("follow_ufw")
    assert guard.init.read_text("utf-8") == SAMPLE


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("A=1\nIPV6=no\nMANAGE_BUILTINS=yes\nB=2\n", "A=1\nIPV6=yes\nMANAGE_BUILTINS=no\nB=2\n"),
        ("A=1\n", "A=1\nIPV6=yes\nMANAGE_BUILTINS=no\n"),
        ("IPV6=yes\n#MANAGE_BUILTINS=yes", "IPV6=yes\n#MANAGE_BUILTINS=yes\nMANAGE_BUILTINS=no\n"),
        ("", "IPV6=yes\nMANAGE_BUILTINS=no\n"),
    ],
)
def test_ufws_defaults_are_set_also_where_no_line_has_them(
    guard: Guard, before: str, after: str
) -> None:
    guard.defaults.write_text(before)
    guard.call("own_defaults")
    guard.call("own_defaults")
    assert guard.defaults.read_text() == after
