"""The runner of this gpuhost removes an app, also if the host has another version of it."""

from __future__ import annotations

import base64
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from gpuhost.operations import app_removal
from gpuhost.rollout.runner_file import runner_file
from gpuhost.steps.removal import ORDER, removable

SCRIPT = files("gpuhost.remote").joinpath(app_removal.SCRIPT).read_text(encoding="utf-8")


# With --scope it becomes the command.
SYSTEMD_RUN = """#!/bin/sh
for word; do case $word in /*) break;; *) echo "$word" >>"$TMPDIR/../limits"; shift;; esac; done
case $* in *killed*) kill -TERM $$;; esac
exec "$@"
"""


def run(tmp_path: Path, stdin: bytes, home: str) -> subprocess.CompletedProcess[str]:
    systemd_run = tmp_path.parent / "systemd-run"
    systemd_run.write_text(SYSTEMD_RUN)
    systemd_run.chmod(0o755)
    return subprocess.run(
        ["sh", "-c", SCRIPT, "sh", home, "ada's desk", "60"],
        input=stdin.decode(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": f"{tmp_path.parent}:/usr/bin:/bin", "TMPDIR": str(tmp_path)},
    )


@pytest.mark.parametrize("home", ["there", "not there; touch x"])
def test_the_runner_is_sent_run_and_deleted(tmp_path: Path, home: str) -> None:
    sent = "\n".join(app_removal.encoded_runner()).encode()
    assert base64.b64decode(sent) == runner_file().data
    done = run(tmp_path, sent, str(tmp_path / home))
    # No app was released in that directory.
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_the_time_limit_ends_its_commands_too(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    done = run(place, "\n".join(app_removal.encoded_runner()).encode(), "/killed")
    assert (done.returncode, done.stdout) == (143, "")
    assert "the removal was ended: it has 60 s and half of the memory" in done.stderr
    words = (tmp_path / "limits").read_text().splitlines()
    assert {"--scope", "--collect", "RuntimeMaxSec=60", "MemoryMax=50%"} <= {*words}


def test_an_incomplete_runner_fails_and_leaves_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, base64.b64encode(runner_file().data[:3000]), str(tmp_path / "there"))
    assert done.returncode != 0
    assert done.stderr
    assert list(tmp_path.iterdir()) == []


def test_every_removable_noun_has_a_place_and_apps_are_removed_first() -> None:
    assert sorted(ORDER) == sorted(removable())
    assert ORDER[-1] == "app"


def test_no_secret_and_no_program_is_an_argument() -> None:
    words = str(app_removal.command("tts"))
    assert "/opt/gpuhost/tts" in words
    assert len(words) < 2000
