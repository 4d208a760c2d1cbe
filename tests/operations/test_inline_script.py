"""Scripts that are sent as an argument."""

from __future__ import annotations

import subprocess

from gpuhost.remote.commands import inline_script, script_text

SCRIPT = "app_abort.sh"


def test_it_runs_as_the_script_itself_does() -> None:
    """One line without `!`: csh takes no other word in quotes (ansible#13942)."""
    command = inline_script(SCRIPT, "it's one", seconds=20)
    assert {"\n", "!"}.isdisjoint(command.get_raw_value())
    sent = ["sh", "-c", command.get_raw_value()]
    itself = ["sh", "-c", script_text(SCRIPT), "sh", "it's one"]
    done = [subprocess.run(words, capture_output=True, text=True) for words in (sent, itself)]
    assert done[0].returncode == done[1].returncode
    assert done[0].stderr.replace("eval: ", "") == done[1].stderr
    assert "parameter not set" in done[0].stderr
