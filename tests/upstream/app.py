"""The app file of gpuhost for a temporary repository, and its releases."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.commands import ROOT
from tests.e2e.releasing import App, Ended, remove
from tests.lab.hosts import LabHost
from tests.upstream.checkout import with_source
from tests.upstream.system import System

# A first release builds everything: pip and npm install all that upstream wants.
RELEASE_S = 5400


@dataclass
class UpstreamApp:
    """A project directory with the app file, its overlay, and the source's URL.

    + log: the output of every release goes there
    """

    system: System
    app: App
    url: str
    log: Path

    @classmethod
    def made(
        cls, system: System, project: Path, url: str, log: Path, git: Mapping[str, str]
    ) -> UpstreamApp:
        """+ git: the environment of git on this machine"""
        return cls(system, App(system.name, project, {**system.secrets, **git}), url, log)

    def use(self, revision: str) -> None:
        """Write the app file as it is shipped, with this revision."""
        shipped = ROOT / "apps"
        apps = self.app.project / "apps"
        apps.mkdir(exist_ok=True)
        text = (shipped / f"{self.system.name}.yaml").read_text()
        (apps / f"{self.system.name}.yaml").write_text(with_source(text, self.url, revision))
        if overlay := re.search(r"(?m)^    overlay: (\S+)", text):
            shutil.copytree(shipped / overlay[1], apps / overlay[1], dirs_exist_ok=True)

    def release(self, host: LabHost, **data: Any) -> Ended:
        return self._run(host, **data)

    def roll_back(self, host: LabHost) -> Ended:
        return self._run(host, deploy="rollback.py")

    def restore(self, host: LabHost, backup: str) -> Ended:
        return self._run(host, deploy="restore.py", backup=backup)

    def _run(self, host: LabHost, **how: Any) -> Ended:
        """Run pyinfra to its end; its output goes to the log as it comes."""
        process = self.app.start(host, **{**self.system.settings, **how})
        limit = threading.Timer(RELEASE_S, process.kill)
        limit.start()
        lines = []
        assert process.stdout is not None
        try:
            with self.log.open("a") as log:
                for line in process.stdout:
                    lines.append(line)
                    print(line, end="", file=log, flush=True)
                status = process.wait()
                print(f"(exit status {status})\n", file=log, flush=True)
        finally:
            process.kill()
            limit.cancel()
        return Ended(status, "".join(lines))

    def revision(self, host: LabHost) -> str:
        """The commit that runs."""
        plan = json.loads(host.run(f"cat {self.app.home('current/plan.json')}").stdout)
        return str(plan["source"]["revision"])

    def containers(self, host: LabHost) -> dict[str, str]:
        """Start times of the running containers, by id."""
        label = f"label=com.docker.compose.project={self._project(host)}"
        ids = host.run(f"docker ps -q --no-trunc --filter {label}").stdout.split()
        shown = "docker inspect -f '{{.Id}} {{.State.StartedAt}}'"
        lines = host.run(f"{shown} {' '.join(ids)}").stdout.splitlines() if ids else []
        return dict(line.split(" ", 1) for line in lines)

    def _project(self, host: LabHost) -> str:
        plan = json.loads(host.run(f"cat {self.app.home('current/plan.json')}").stdout)
        return str(plan["project"])


def forget(host: LabHost, name: str) -> None:
    """Remove an app of an earlier run with its data and its site; what was built is kept."""
    plans = f"/opt/gpuhost/{name}/releases/*/plan.json"
    found = host.run(f"cat $(ls -t {plans} | head -1)", check=False).stdout
    remove(host, name, json.loads(found)["project"] if found else name)
