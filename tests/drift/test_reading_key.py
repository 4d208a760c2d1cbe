"""The forced command of the nightly check's key: it runs one reading, and nothing else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

from gpuhost.operations import drift
from gpuhost.plans.drift_reading import ALLOWED, COMMAND, digest, reading_files
from gpuhost.plans.request import request_for
from gpuhost.settings import Settings
from gpuhost.snapshot.checkout import FIND
from gpuhost.snapshot.collector import script
from tests.recorded import raw

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="the forced command becomes root")
READING = script(request_for(Settings()))


def send(text: str, allowed: str | None, directory: Path) -> subprocess.CompletedProcess[str]:
    """What a host answers to somebody with the key.

    + allowed: the reading of the last deploy; None: it has none
    """
    command, known = reading_files(request_for(Settings()))
    assert (command.path, command.mode, known.path, known.mode) == (
        COMMAND,
        "0755",
        ALLOWED,
        "0600",
    )
    if allowed is not None:
        (directory / "allowed").write_text(f"{digest(allowed)}\n")
    installed = directory / "read"
    installed.write_text(command.content.replace(ALLOWED, str(directory / "allowed")))
    installed.chmod(0o755)
    return subprocess.run([str(installed)], input=text, capture_output=True, text=True, timeout=30)


SHORT = "set -u\npatience=20\nprintf '%s' \"it ran for $patience\"\nexit 3\n"


@pytest.mark.parametrize("patience", ["20", "60", "9999"])
def test_the_reading_of_the_last_deploy_runs_with_any_patience(
    tmp_path: Path, patience: str
) -> None:
    done = send(SHORT.replace("=20", f"={patience}"), SHORT, tmp_path)
    assert (done.returncode, done.stdout) == (3, f"it ran for {patience}")


@pytest.mark.parametrize(
    "text",
    [
        "id\n",
        "",
        f"{SHORT}id\n",
        SHORT.replace("patience=20", "patience=20; id"),
        SHORT.replace("patience=20", "patience=$(id)"),
        SHORT.replace("patience=20", "patience=20000"),
        SHORT.replace("set -u\n", "set -u \n"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, text: str) -> None:
    done = send(text, SHORT, tmp_path)
    assert (done.returncode, done.stdout) == (77, "")
    assert "this key may run only the reading script that the last deploy installed" in done.stderr


def test_without_a_deploy_nothing_is_run(tmp_path: Path) -> None:
    assert send(SHORT, None, tmp_path).returncode == 77


def test_sudo_keeps_from_where_it_is_read(tmp_path: Path) -> None:
    """The firewall is judged for that address."""
    for name, text in (("id", "echo 1000"), ("sudo", "printf '%s\\n' \"$@\"")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    command, _ = reading_files(request_for(Settings()))
    installed = tmp_path / "read"
    installed.write_text(command.content.replace("PATH=/", f"PATH={tmp_path}:/", 1))
    installed.chmod(0o755)
    connection = "192.0.2.9 50022 192.0.2.1 22"
    for before, after in (({"SSH_CONNECTION": connection}, connection), ({}, "")):
        done = subprocess.run([installed], capture_output=True, text=True, env=before, check=True)
        words = ["-n", "--", "env", f"SSH_CONNECTION={after}", str(installed)]
        assert done.stdout.splitlines() == words


def test_the_whole_reading_arrives(tmp_path: Path) -> None:
    """Its text has no character that a shell's variable loses."""
    assert f"{READING.rstrip()}\n" == READING
    assert "\0" not in READING and len(READING) < 900_000
    done = send(READING, READING, tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) > 1000


def test_the_deploy_installs_it_once() -> None:
    settings = Settings()
    for files, count in (("", 2), ("installed", 0)):
        rows, hashes = "", ""
        for one in reading_files(request_for(settings)) if files else ():
            rows += f"{one.mode} root root 9 1795299407 regular file {one.path}\n"
            hashes += f"{one.sha256}  {one.path}\n"
        case = {"host": "debian13", "probes": {"stat": {"out": rows}, "hashes": {"out": hashes}}}
        state = FakeState()
        host = create_host(state, facts={"snapshot.Snapshot": raw(case)})
        state.ops = {host: {}}
        with ctx_state.use(state), ctx_host.use(host):
            assert len(list(drift.reading._inner(settings=settings))) == count


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    directory = tmp_path / "check out"
    (directory / ".venv" / "bin").mkdir(parents=True)
    for name in ("inventory.py", ".venv/bin/gpuhost", "python"):
        (directory / name).write_text("")
    (directory / ".venv/bin/python").symlink_to(directory / "python")
    (directory / "broken").symlink_to("nowhere")
    return directory


def found(directory: Path) -> str:
    done = subprocess.run(
        ["sh", "-c", FIND, "sh", str(directory)], capture_output=True, text=True, timeout=10
    )
    return done.stdout.replace(f"{directory}/", "")


def test_a_checkout_of_root_is_not_open(checkout: Path) -> None:
    assert found(checkout) == ""
    # The group of root.
    (checkout / "inventory.py").chmod(0o664)
    assert found(checkout) == ""


@pytest.mark.parametrize(
    ("path", "mode", "owner", "says"),
    [
        ("inventory.py", 0o666, (0, 0), "inventory.py (root 666)\n"),
        ("inventory.py", 0o664, (0, 12345), "inventory.py (root 664)\n"),
        (".venv/bin/gpuhost", 0o644, (12345, 0), ".venv/bin/gpuhost (12345 644)\n"),
        (".venv", 0o777, (0, 0), ".venv (root 777)\n"),
    ],
)
def test_what_others_can_change_is_found(
    checkout: Path, path: str, mode: int, owner: tuple[int, int], says: str
) -> None:
    os.chown(checkout / path, *owner)
    (checkout / path).chmod(mode)
    assert found(checkout) == says


def test_the_target_of_a_link_is_looked_at(checkout: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    other.write_text("")
    os.chown(other, 12345, 12345)
    (checkout / ".venv/bin/python").unlink()
    (checkout / ".venv/bin/python").symlink_to(other)
    assert found(checkout) == ".venv/bin/python (12345 644)\n"
