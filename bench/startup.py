"""From the start of a command to its first connection."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.machine import machine
from bench.measure import Broken, Contender, Sample, bin, run_in_rounds
from bench.result import Goal, Result, Table

ROUNDS = 9
SECONDS = 60
VERBS = ("check", "drift", "status")


def startup() -> Result:
    with TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(SECONDS)
        inventory = _inventory(Path(folder), server.getsockname()[1])
        contenders = [
            Contender(verb, lambda verb=verb: _first_connection(server, verb, inventory))  # type: ignore[misc]
            for verb in VERBS
        ]
        samples = run_in_rounds(contenders, ROUNDS)
    return Result(
        part="startup",
        title="The start of a command",
        machine=machine(),
        tables=(
            Table(
                ("", "first connection after"),
                tuple((f"gpuhost {verb}", f"{samples[verb].seconds:.2f} s") for verb in VERBS),
            ),
        ),
        goals=tuple(
            Goal(f"gpuhost {verb}: first connection", samples[verb].seconds, "<=", 0.25, " s")
            for verb in VERBS
        ),
        notes=("From the start of Python to the first connection to a host on this machine.",),
    )


def _first_connection(server: socket.socket, verb: str, inventory: Path) -> Sample:
    began = time.monotonic()
    process = subprocess.Popen(
        [bin("gpuhost"), verb, str(inventory)],
        cwd=inventory.parent,
        env={**os.environ, "SSH_AUTH_SOCK": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        connection, _ = server.accept()
        seconds = time.monotonic() - began
        connection.close()
    except TimeoutError:
        raise Broken(f"gpuhost {verb} has not connected within {SECONDS} s") from None
    finally:
        process.kill()
        process.wait(SECONDS)
    return Sample(seconds, 0.0, 0)


def _inventory(folder: Path, port: int) -> Path:
    key = folder / "key"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(command, check=True, timeout=30)
    host = {
        "ssh_user": "nobody",
        "ssh_port": port,
        "ssh_key": str(key),
        "ssh_known_hosts_file": str(folder / "known_hosts"),
        "ssh_config_file": str(folder / "none"),
    }
    (folder / "inventory.py").write_text(f"hosts = {[('127.0.0.1', host)]!r}\n")
    return folder / "inventory.py"
