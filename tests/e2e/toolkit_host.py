"""A host with the container toolkit: what the deploy of it does and what its checks say."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.commands import Run, check, deploy
from tests.lab.hosts import LabHost

STEP, ENGINE, PROOF = "Container toolkit", "Engine configuration", "GPU in a container"
RECORD = "/var/lib/gpuhost/toolkit.json"


def provision(*hosts: LabHost, **settings: Any) -> Run:
    return deploy(*hosts, deploy="tests/e2e/toolkit_alone.py", **settings)


def image(host: LabHost) -> str:
    return str(json.loads(host.run(f"cat {RECORD}").stdout)["image"])


def findings(host: LabHost, **settings: Any) -> dict[str, str]:
    """The status of every check of the toolkit."""
    status = check(host, **settings).status
    return {id: status for id, status in status.items() if id.startswith("toolkit.")}


PARTS = ("cdi", "config", "held", "packages", "proof", "reload", "repository", "runtime")
OK = dict.fromkeys((f"toolkit.{part}" for part in PARTS), "ok")
