"""Commands of a deploy over a real SSH server: bounded output, words for a silent connection."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Workplace
from tests.cli.sshd import ADDRESSES, REAL, Sshd

pytestmark = pytest.mark.slow

# Runs each command on each host as a deploy does, all at once; prints how each ended.
PROGRAM = """
import json, sys
import pyinfra_cli
import gevent
from pyinfra.api import StringCommand
from gpuhost.fleet.inventory import load
from gpuhost.remote import ssh_limits
from gpuhost.remote.commands import run

ssh_limits.QUESTION_SECONDS, ssh_limits.SILENT_SECONDS, ssh_limits.GRACE_SECONDS = 1, 3, 2
ssh_limits.limit_ssh(2_000_000)
fleet = load(sys.argv[1], data={})
commands = json.loads(sys.argv[2])

def one(host):
    command, seconds, whose = commands[host.name]
    host.connect()
    given = {"_timeout": seconds} if whose == "pyinfra's" else {}
    if whose == "own":
        command = StringCommand(command, _timeout=seconds)
    if whose == "remote":
        command = run("sh", "-c", command, seconds=seconds)
    try:
        succeeded, output = host.run_shell_command(command, **given)
    except Exception as error:
        return [type(error).__name__, str(error)]
    lines = output.stdout_lines
    return [succeeded, len(lines), "".join(lines)[:100], output.stderr[:100]]

with gevent.Timeout(50):
    jobs = {host.name: gevent.spawn(one, host) for host in fleet.hosts}
    gevent.joinall(list(jobs.values()))
print(json.dumps({name: job.value for name, job in jobs.items()}))
"""
# The server of this session stops, as in a network that loses everything from now on.
STOP = (
    "p=$$; while read -r _ name _ parent _ </proc/$p/stat; do "
    'case $name in "(sshd"*) break; esac; p=$parent; done; '
    "echo $p >>{stopped}; kill -STOP $p; exec sleep 600"
)
# By name: the command, its limit, and who knows the limit.
COMMANDS: dict[str, tuple[str, int, str]] = {
    "silent": (STOP, 0, ""),
    "silent with a limit": (STOP, 30, "remote"),
    "late for pyinfra": ("exec sleep 600", 2, "pyinfra's"),
    "late": ("exec sleep 600", 2, "own"),
    "no exit status": ("exec >&- 2>&-; exec sleep 600", 2, "own"),
    "ended there": ("exec sleep 600", 1, "remote"),
    "endless": ("exec yes", 0, ""),
    "endless line": ("exec cat /dev/zero", 0, ""),
    "endless errors": ("exec yes >&2", 0, ""),
    "no UTF-8": ("printf 'a\\377b\\nc\\n'", 0, ""),
    "lines": ("seq 1 1000; echo no >&2", 0, ""),
    "long line": ("head -c 300000 /dev/zero | tr '\\0' x", 0, ""),
    "fails": ("echo why >&2; exit 3", 0, ""),
}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    file = tmp_path_factory.mktemp("stopped") / "processes"
    yield file
    for process in file.read_text().split():
        with suppress(ProcessLookupError):
            os.kill(int(process), signal.SIGKILL)


@pytest.fixture(scope="module")
def ended(
    tmp_path_factory: pytest.TempPathFactory, sshd: Sshd, stopped: Path
) -> dict[str, list[Any]]:
    place = Workplace(tmp_path_factory.mktemp("ssh-limits"))
    commands = {
        name: (command.replace("{stopped}", str(stopped)), seconds, whose)
        for name, (command, seconds, whose) in COMMANDS.items()
    }
    inventory = place.inventory(
        {name: sshd.login(REAL, ssh_hostname=ADDRESSES[0]) for name in COMMANDS}
    )
    run = place.run(sys.executable, "-c", PROGRAM, str(inventory), json.dumps(commands))
    result: dict[str, list[Any]] = json.loads(run.out)
    return result


def test_a_silent_connection_is_closed(ended: dict[str, list[Any]]) -> None:
    closed = ["NoAnswer", "the host did not answer for 3 s: the connection is closed"]
    assert ended["silent"] == ended["silent with a limit"] == closed


def test_a_late_command(ended: dict[str, list[Any]]) -> None:
    assert ended["late for pyinfra"][0] == "TimeoutError"
    assert (
        ended["late"]
        == ended["no exit status"]
        == ["NoAnswer", "the host did not answer within 2 s"]
    )
    assert ended["ended there"] == [False, 0, "", ""]


@pytest.mark.parametrize("name", ["endless", "endless line", "endless errors"])
def test_endless_output(ended: dict[str, list[Any]], name: str) -> None:
    assert ended[name] == ["TooMuchOutput", "it printed more than is read"]


def test_other_commands_are_as_without_limits(ended: dict[str, list[Any]]) -> None:
    assert ended["no UTF-8"] == [True, 2, "a�bc", ""]
    assert ended["lines"] == [True, 1000, "".join(map(str, range(1, 1001)))[:100], "no"]
    assert ended["long line"] == [True, 1, "x" * 100, ""]
    assert ended["fails"] == [False, 0, "", "why"]
