"""The commands that a user runs, on lab hosts: their output and exit status."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.hosts import LabHost

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
INVENTORY = "inventories/lab.py"


@dataclass(frozen=True)
class Run:
    """A run of a deploy.

    + changed: the operations that changed something, with the hosts they changed
    + failed: the operations that failed, with their hosts
    + planned: the changes that `--dry` plans
    """

    status: int
    changed: dict[str, list[str]]
    failed: dict[str, list[str]]
    planned: dict[str, list[str]]
    stderr: str


@dataclass(frozen=True)
class Verdicts:
    """The result of `gpuhost check` for one host: statuses and findings by id."""

    exit: int
    host: str
    status: dict[str, str]
    findings: dict[str, dict[str, str]] = field(repr=False)

    @property
    def failing(self) -> set[str]:
        """The ids of checks that fail or could not be read."""
        return {id for id, status in self.status.items() if status in ("fail", "unknown")}


def start(
    deploy: str, *hosts: LabHost, options: tuple[str, ...] = ("-y",), **settings: Any
) -> subprocess.Popen[str]:
    """Start pyinfra with a deploy on these hosts, for a test that kills it."""
    argv = [str(BIN / "pyinfra"), "--json", *options, INVENTORY, deploy]
    argv += [word for host in hosts for word in ("--limit", host.name)]
    return _popen([*argv, *_data(settings)], hosts)


def deploy(
    *hosts: LabHost,
    deploy: str = "deploys/gpu_host.py",
    dry: bool = False,
    seconds: float = 600,
    **settings: Any,
) -> Run:
    """Run pyinfra with a deploy on these hosts to its end.

    + dry: only plan
    + seconds: how long it may take
    + settings: for --data
    """
    process = start(deploy, *hosts, options=("--dry",) if dry else ("-y",), **settings)
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        process.kill()
    if "No host matches" in err:
        raise AssertionError(err)
    # If every host fails, pyinfra prints no JSON; its stderr is complete in any case.
    plan = json.loads(out)["plan"] if out.strip() else []
    return Run(
        status=process.returncode,
        changed=_outcomes(err, "Success"),
        failed=_outcomes(err, "Error"),
        planned={
            op["name"]: sorted(op["hosts_with_change"]) for op in plan if op["hosts_with_change"]
        },
        stderr=err,
    )


def _outcomes(stderr: str, outcome: str) -> dict[str, list[str]]:
    """The operations with this outcome, with their hosts."""
    hosts_by_operation: dict[str, list[str]] = {}
    operation = ""
    for line in stderr.splitlines():
        if started := re.match(r"--> Starting operation: (.+?)\s*$", line):
            operation = started[1]
        elif ended := re.match(rf"\s+\[(.+?)\]\s+{outcome}\b", line):
            hosts_by_operation.setdefault(operation, []).append(ended[1])
    return {operation: sorted(hosts) for operation, hosts in hosts_by_operation.items()}


def check(host: LabHost, **settings: Any) -> Verdicts:
    """`gpuhost check` on one host."""
    argv = [str(BIN / "gpuhost"), "check", INVENTORY, "--json", "--limit", host.name]
    process = _popen([*argv, *_data(settings)], (host,))
    out, err = process.communicate(timeout=180)
    if not out:
        raise AssertionError(f"gpuhost check printed nothing: {err}")
    (row,) = json.loads(out)["hosts"]
    findings = {finding["id"]: finding for finding in row["findings"]}
    status = {id: finding["status"] for id, finding in findings.items()}
    return Verdicts(process.returncode, row["status"], status, findings)


def _data(settings: dict[str, Any]) -> list[str]:
    values = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in settings.items()
    }
    return [word for key, value in values.items() for word in ("--data", f"{key}={value}")]


def _popen(argv: list[str], hosts: tuple[LabHost, ...]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        argv,
        cwd=ROOT,
        env={**os.environ, "GPUHOST_LAB": hosts[0].lab, "PYINFRA_PROGRESS": "off"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
