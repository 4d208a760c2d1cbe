"""Output streams: a pipe without a reader, a full disk, a closed stream."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import GPUHOST, Run, Workplace
from tests.cli.drifting import GOOD, drifting
from tests.cli.sshd import Sshd

pytestmark = pytest.mark.slow

COMMANDS = {
    "check": 2,
    "check --json": 2,
    "drift --history runs --html drift.html --metrics gpuhost.prom": 2,
    "drift --json": 2,
    "status": 0,
    "status --json": 0,
    "releases --app tts": 1,
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, sshd: Sshd) -> Workplace:
    made = Workplace(tmp_path_factory.mktemp("streams"))
    made.inventory({GOOD: drifting(sshd, "streams")})
    return made


def bash(place: Workplace, command: str, to: str) -> Run:
    """Runs gpuhost with a redirection; the exit status is that of gpuhost."""
    name, _, options = command.partition(" ")
    line = f"{GPUHOST} {name} inventory.py {options} {to}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=place.path,
        env=place.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_that_stops_changes_nothing(place: Workplace, command: str) -> None:
    # The reader exits before the first output.
    run = bash(place, command, "| true")
    said = "gpuhost: no host has an app tts\n" if command.startswith("releases") else ""
    assert (run.exit, run.err) == (COMMANDS[command], said)


@pytest.mark.parametrize("command", [*COMMANDS][:5])
def test_a_full_disk(place: Workplace, command: str) -> None:
    run = bash(place, command, ">/dev/full")
    line = "gpuhost: the report could not be printed: No space left on device\n"
    assert (run.exit, run.err) == (1, line)


@pytest.mark.parametrize("to", ["| true", ">/dev/full", ">&-", ">/dev/full 2>&1", "2>&1 | true"])
def test_files_are_written_even_if_the_report_cannot_be_printed(place: Workplace, to: str) -> None:
    for name in ("drift.html", "gpuhost.prom"):
        (place.path / name).unlink(missing_ok=True)
    before = set(place.path.glob("runs/*"))
    # This file causes a message on stderr.
    (place.path / "runs").mkdir(exist_ok=True)
    (place.path / "runs" / "foreign").touch()
    run = bash(place, "drift --history runs --html drift.html --metrics gpuhost.prom", to)
    (place.path / "runs" / "foreign").unlink()
    assert run.exit == (1 if "full" in to else 2)
    assert "Traceback" not in run.err
    assert "Exception" not in run.err
    assert len(set(place.path.glob("runs/*")) - before) == 1
    assert (place.path / "drift.html").is_file()
    assert (place.path / "gpuhost.prom").is_file()


@pytest.mark.parametrize("to", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams(place: Workplace, to: str) -> None:
    run = bash(place, "check --json", to)
    assert (run.exit, run.err) == (2, "")
    assert ">&- " in f"{to} " or json.loads(run.out)["schema"] == 1


def test_help_on_a_full_disk(place: Workplace) -> None:
    run = bash(place, "drift --help", ">/dev/full")
    assert (run.exit, run.err.count("\n")) == (1, 1)
    assert "Traceback" not in run.err


def test_output_does_not_go_into_opened_files(place: Workplace) -> None:
    run = bash(place, "drift --html closed.html", ">&- 2>&-")
    assert run.exit == 2
    page = Path(place.path / "closed.html").read_text()
    assert page.startswith("<!")
    assert page.rstrip().endswith("</html>")
