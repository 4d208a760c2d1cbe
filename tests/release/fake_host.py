"""A fake host for releases: the forced command of an SSH login.

    python3 fake_host.py DIRECTORY

It answers a reading with DIRECTORY/reply. It runs the script that begins a release, in DIRECTORY
instead of the system's own directories, with a fake systemctl and systemd-run. The answers of
`follow` are in DIRECTORY/script.json, a list: {"state", "lines", "result", "holder"};
{"hang up": true} closes the connection, {"wait": true} is a release that does not end.
A command that contains the text of DIRECTORY/fails fails. With DIRECTORY/cut the connection is
closed just after a release has started, with DIRECTORY/lost just before.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

SYSTEMCTL = """#!/bin/sh
echo "systemctl $*" >>"$PLAYED/calls"
case $1 in
    show)
        [ ! -e "$PLAYED/silent" ] || exit 124
        case $* in
            *Description*) cat "$PLAYED/description" 2>/dev/null;;
            *) cat "$PLAYED/active" 2>/dev/null || echo inactive;;
        esac;;
    is-enabled) [ -e "$PLAYED/enabled" ];;
    enable) touch "$PLAYED/enabled";;
esac
"""
SYSTEMD_RUN = """#!/bin/sh
printf '%s\\n' "$@" >"$PLAYED/started"
[ ! -e "$PLAYED/active after" ] || mv "$PLAYED/active after" "$PLAYED/active"
[ ! -e "$PLAYED/silent after" ] || mv "$PLAYED/silent after" "$PLAYED/silent"
[ ! -e "$PLAYED/refuse" ] || { cat "$PLAYED/refuse" >&2; exit 1; }
"""


ENCODED = re.compile(r'eval "\$\(echo ([A-Za-z0-9+/=]+) \| base64 -d\)"')


def main(directory: Path, command: str) -> int:
    # The script of a command is on one line.
    if ENCODED.search(command):
        *shell, inner = shlex.split(command)
        words = [ENCODED.sub(_decoded, word) for word in shlex.split(inner)]
        command = shlex.join([*shell, shlex.join(words)])
    # pyinfra wraps every command: sh -c '…'.
    words = shlex.split(shlex.split(command)[2])
    with (directory / "execs").open("a") as file:
        file.write(json.dumps(words) + "\n")
    if "follow" in words:
        return _follow(directory)
    if "systemctl" in words or "journalctl" in words:
        print((directory / words[words.index("LC_ALL=C") + 5]).read_text(), end="")
        return 0
    if "gpuhost: " in command:
        return _begin(directory, command)
    if (directory / "fails").exists() and (directory / "fails").read_text() in command:
        print("E: it cannot be done", file=sys.stderr)
        return 100
    # The script of a reading is read to its end, like a shell does.
    sys.stdin.buffer.read()
    sys.stdout.write((directory / "reply").read_text())
    return 0


def _decoded(match: re.Match[str]) -> str:
    return base64.b64decode(match[1]).decode()


def _begin(directory: Path, command: str) -> int:
    if (directory / "lost").exists():
        os.kill(os.getppid(), signal.SIGKILL)
        return 1
    programs = directory / "bin"
    programs.mkdir(exist_ok=True)
    for name, text in (("systemctl", SYSTEMCTL), ("systemd-run", SYSTEMD_RUN)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    environment = {
        **os.environ,
        "PLAYED": str(directory),
        "PATH": f"{programs}:{os.environ['PATH']}",
    }
    for place in ("/opt/gpuhost", "/etc/systemd/system"):
        command = command.replace(place, f"{directory}{place}")
        (directory / place[1:]).mkdir(parents=True, exist_ok=True)
    status = subprocess.run(["sh", "-c", command], env=environment).returncode
    if (directory / "cut").exists():
        # The sshd process of this connection.
        os.kill(os.getppid(), signal.SIGKILL)
    return status


def _follow(directory: Path) -> int:
    script = directory / "script.json"
    answers = json.loads(script.read_text())
    next_answer = answers[0]
    if not next_answer.get("wait"):
        script.write_text(json.dumps(answers[1:]))
    if next_answer.get("hang up"):
        # The sshd process of this connection.
        os.kill(os.getppid(), signal.SIGKILL)
    started = directory / "started"
    words = started.read_text().splitlines() if started.exists() else []
    result = next_answer.get("result")
    if result is not None:
        result = {"id": words[-1] if "release" in words else "ID", **result}
    answer = {
        "state": next_answer.get("state", "running"),
        "offset": next_answer.get("offset", 1),
        "result": result,
        "holder": next_answer.get("holder"),
    }
    print(json.dumps(answer))
    print("".join(f"{line}\n" for line in next_answer.get("lines", [])), end="", flush=True)
    return int(next_answer.get("exit", 0))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), os.environ["SSH_ORIGINAL_COMMAND"]))
