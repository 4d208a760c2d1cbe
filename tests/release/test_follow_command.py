"""The command that follows a release has the inventory of pyinfra's command line."""

from __future__ import annotations

import pyinfra
import pytest

from gpuhost.rollout.detach import follow_command

COMMAND_LINES = {
    "inventory.py deploys/app.py --data app=tts": "inventory.py",
    "--data app=tts.py --limit @local -y -- hosts/all.py deploys/app.py": "hosts/all.py",
    "-y --limit gpu 203.0.113.10 deploys/app.py": "203.0.113.10",
    "--ssh-user me gpu1,gpu2 deploys/app.py": "gpu1,gpu2",
    "@local deploys/app.py --dry": "@local",
    "$HOME.py deploys/app.py": "'$HOME.py'",
}


@pytest.mark.parametrize("words", COMMAND_LINES)
def test_the_inventory_of_the_command_line(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyinfra, "is_cli", True)
    monkeypatch.setattr("sys.argv", ["pyinfra", *words.split()])
    expected = f"gpuhost logs {COMMAND_LINES[words]} --limit gpu1 --app tts --follow"
    assert follow_command("gpu1", "tts") == expected


def test_outside_of_the_pyinfra_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyinfra, "is_cli", False)
    monkeypatch.setattr("sys.argv", ["release.py", "production"])
    assert follow_command("gpu1", "tts").startswith("gpuhost logs INVENTORY --limit gpu1")
