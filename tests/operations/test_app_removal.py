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


def run(tmp_path: Path, stdin: bytes, home: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", SCRIPT, "sh", home, "ada's desk", "60"],
        input=stdin.decode(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)},
    )


@pytest.mark.parametrize("home", ["there", "not there; touch x"])
def test_the_runner_is_sent_run_and_deleted(tmp_path: Path, home: str) -> None:
    sent = "\n".join(app_removal.encoded_runner()).encode()
    assert base64.b64decode(sent) == runner_file().data
    done = run(tmp_path, sent, str(tmp_path / home))
    # No app was released in that directory.
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


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
