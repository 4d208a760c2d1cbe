"""`gpuhost drift` on one lab host, as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.commands import BIN, ROOT
from tests.lab.hosts import LabHost


@dataclass(frozen=True)
class Drift:
    """The result of one run for one host.

    + wrong: by id, the cause of each finding that fails, warns or was not read
    + output: what the run printed
    """

    exit: int
    status: str
    wrong: dict[str, str] = field(repr=False)
    output: str = field(repr=False)


def drift(host: LabHost, *options: str, project: Path = ROOT, **settings: Any) -> Drift:
    argv = [str(BIN / "gpuhost"), "drift", str(ROOT / "inventories" / "lab.py"), "--json"]
    argv += ["--limit", host.name, *options]
    for key, value in settings.items():
        argv += ["--data", f"{key}={value if isinstance(value, str) else json.dumps(value)}"]
    done = subprocess.run(
        argv,
        cwd=project,
        env={**os.environ, "GPUHOST_LAB": host.lab},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    (row,) = json.loads(done.stdout)["hosts"]
    wrong = {
        finding["id"]: finding["cause"] or finding["status"]
        for finding in row["findings"]
        if finding["status"] in ("fail", "warn", "unknown")
    }
    return Drift(done.returncode, row["status"], wrong, done.stdout)
