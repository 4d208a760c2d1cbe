"""An app of a test: its own project directory, with stand-in sources that can be made to fail."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import app_yaml
from tests.apps.stand_ins import write_source
from tests.e2e.commands import BIN, ROOT
from tests.lab.hosts import LabHost

STAND_INS = ROOT / "tests" / "apps"
SECRETS = {
    "CEREBRAS_API_KEY": "csk-planted-4f1e8b2d9c",
    "ADMIN_EMAIL": "ada@example.com",
    "ADMIN_PASSWORD": "planted $dollar 'quote\" ümlaut",
}


@dataclass(frozen=True)
class Ended:
    """A run of pyinfra: its exit status and its output."""

    status: int
    output: str

    @property
    def changed_nothing(self) -> bool:
        return self.status == 0 and bool(re.search(r"Grand total\s+\d+\s+-\s+-\s+\d+", self.output))


@dataclass
class App:
    """A project directory of a user: apps/NAME.yaml beside the sources."""

    name: str
    project: Path
    environment: Mapping[str, str] = field(default_factory=lambda: dict(SECRETS))

    def write(self, *, edits: Mapping[str, Any] | None = None, **behaviour: Any) -> None:
        """Write source and app file; the defaults give a good release.

        + edits: changes to the app file of gpuhost, by dotted path; None removes a key
        + behaviour: of the stand-in; another `revision` gives another image
        """
        source = self.project / "source"
        shutil.rmtree(source, ignore_errors=True)
        write_source(self.name, source)
        (source / "stand-in.json").write_text(json.dumps(behaviour))
        own = STAND_INS / self.name / "app.yaml"
        shipped = ROOT / "apps" / f"{self.name}.yaml"
        app = app_yaml.read((own if own.exists() else shipped).read_text())
        app["x-gpuhost"]["source"] = self._source(app["x-gpuhost"]["source"])
        # What the real images need is more than a machine for tests may have.
        for part in ("build", "with_gpu", "without_gpu"):
            if "disk_gb" in (app["x-gpuhost"].get(part) or {}):
                app["x-gpuhost"][part]["disk_gb"] = 1
        for path, value in (edits or {}).items():
            _put(app, path.split("."), value)
        (self.project / "apps").mkdir(exist_ok=True)
        (self.project / "apps" / f"{self.name}.yaml").write_text(app_yaml.write(app))

    def _source(self, shipped: Mapping[str, Any]) -> dict[str, Any]:
        """The stand-in as the source, with the overlay and the edits of the app file."""
        kept = {key: shipped[key] for key in ("overlay", "edits") if key in shipped}
        if name := kept.get("overlay"):
            overlay = self.project / "apps" / name
            shutil.copytree(ROOT / "apps" / name, overlay, dirs_exist_ok=True)
            # What needs the real libraries.
            if (own := STAND_INS / "overlays" / self.name).is_dir():
                shutil.copytree(own, overlay, dirs_exist_ok=True)
        return {"directory": "../source", **kept}

    def command(self, deploy: str = "app.py", options: tuple[str, ...] = ("-y",)) -> list[str]:
        """The command that a user types."""
        inventory, file = ROOT / "inventories" / "lab.py", ROOT / "deploys" / deploy
        return ["pyinfra", *options, str(inventory), str(file), "--data", f"app={self.name}"]

    def start(
        self,
        *hosts: LabHost,
        deploy: str = "app.py",
        options: tuple[str, ...] = ("-y",),
        **data: Any,
    ) -> subprocess.Popen[str]:
        """Start pyinfra in the project directory."""
        program, *argv = self.command(deploy, options)
        argv = [str(BIN / program), *argv]
        argv += [word for host in hosts for word in ("--limit", host.name)]
        for key, value in data.items():
            text = value if isinstance(value, str) else json.dumps(value)
            argv += ["--data", f"{key}={text}"]
        return subprocess.Popen(
            argv,
            cwd=self.project,
            env={
                **os.environ,
                **self.environment,
                "GPUHOST_LAB": hosts[0].lab,
                "PYINFRA_PROGRESS": "off",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *hosts: LabHost, timeout: float = 600, **how: Any) -> Ended:
        """Run pyinfra in the project directory to its end."""
        process = self.start(*hosts, **how)
        try:
            output, _ = process.communicate(timeout=timeout)
        finally:
            process.kill()
        return Ended(process.returncode, output)

    def home(self, *parts: str) -> str:
        return "/".join(("/opt/gpuhost", self.name, *parts))

    def status(self, host: LabHost) -> dict[str, Any]:
        """The status of the app, from the runner on the host."""
        output = host.run(f"python3 {self.home('runner.pyz')} status {self.home()}").stdout
        status: dict[str, Any] = json.loads(output)
        return status

    def current(self, host: LabHost) -> str:
        return str(self.status(host)["current"])

    def result(self, host: LabHost) -> dict[str, Any]:
        """The result of the newest release."""
        newest = host.run(f"ls {self.home('releases')} | tail -1").stdout.strip()
        result: dict[str, Any] = json.loads(
            host.run(f"cat {self.home('releases', newest, 'result.json')}").stdout
        )
        return result


def edits_without(name: str, *texts: str) -> list[dict[str, str]]:
    """The edits of an app file, but for those with one of these texts: upstream as it is there."""
    app = app_yaml.read((ROOT / "apps" / f"{name}.yaml").read_text())
    edits = app["x-gpuhost"]["source"]["edits"]
    return [edit for edit in edits if not any(text in edit["find"] for text in texts)]


def ask(host: LabHost, path: str, *, post: str | None = None, port: int = 3000) -> Any:
    """The app's answer to a request on the host itself; None: no answer."""
    data = f"--data-raw '{post}'" if post is not None else ""
    done = host.run(f"curl -sS -m 10 {data} http://127.0.0.1:{port}{path}", check=False)
    return json.loads(done.stdout) if done.status == 0 and done.stdout else None


def remove(host: LabHost, name: str, project: str) -> None:
    """Remove everything of the app except its images."""
    mine = f"-q --filter label=com.docker.compose.project={project}"
    host.run(
        f"systemctl disable --now 'gpuhost-*{name}.timer' gpuhost-resume@{name}.service;"
        f"docker ps -a {mine} | xargs -r docker rm -f;"
        f"docker volume ls {mine} | xargs -r docker volume rm;"
        f"docker network ls {mine} | xargs -r docker network rm;"
        f"rm -rf /opt/gpuhost/{name} /etc/nginx/conf.d/gpuhost-{name}.conf;"
        "if systemctl is-active -q nginx; then systemctl reload nginx; fi"
    )


def _put(value: Any, path: list[str], new: Any) -> None:
    for key in path[:-1]:
        value = value[int(key)] if isinstance(value, list) else value.setdefault(key, {})
    if new is None:
        value.pop(path[-1], None)
    else:
        value[path[-1]] = new
