"""A packaged app, released to a directory: its stand-in's source, patched, and its resolved model.

Everything is gpuhost's own: the controller reads and plans, the runner unpacks, patches and asks a
real Compose. No engine and no host.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gpuhost.appfile.app import App
from gpuhost.appfile.loading import PACKAGED, load
from gpuhost.release.overlay import read_overlay
from gpuhost.release.planning import plan_release
from gpuhost.release.secrets import collect_secrets
from gpuhost.release.source import resolve_source
from gpuhost.runner.contract import AppPaths
from gpuhost.runner.docker.resolved_model import running
from gpuhost.runner.plan import Plan
from gpuhost.runner.stages import source as source_stage
from gpuhost.runner.stages.render import render
from gpuhost.runner.state.release import Release
from tests import app_yaml
from tests.apps.stand_ins import write_source
from tests.compose.on_host import SITE
from tests.release.cases import DECLARED, chosen, host

# A card that suits all apps, and none.
HOSTS = {"with_gpu": "nvidia-l40s-610", "without_gpu": "debian13"}
ID = "20260101-000000-aaaaaaaa"
GIVEN = {"DATABASE_URL": "mysql+asyncmy://me:planted-secret@db.example.com/voices"}


@dataclass(frozen=True)
class Mistake:
    """What is wrong with an app file: a fault of the field, made again.

    + put: dotted path -> value
    + drop: dotted paths
    + without_edits: texts of `find`
    + without_overlay: files
    + found: patterns of the contradictions
    """

    app: str = ""
    put: dict[str, Any] = field(default_factory=dict)
    drop: Sequence[str] = ()
    without_edits: Sequence[str] = ()
    without_overlay: Sequence[str] = ()
    variant: str = "without_gpu"
    found: Sequence[str] = ()


@dataclass(frozen=True)
class Released:
    """+ ref: of the app file
    + variant: "with_gpu" or "without_gpu"
    + model: what is started, with secrets
    + source: with overlay and edits
    """

    ref: str
    variant: str
    app: App
    plan: Plan
    model: Mapping[str, Any]
    source: Path

    @property
    def services(self) -> dict[str, dict[str, Any]]:
        return running(self.model)

    def environment(self, service: str) -> dict[str, str]:
        declared = self.services[service].get("environment") or {}
        return {name: str(value) for name, value in declared.items() if value is not None}

    def given(self, service: str) -> set[str]:
        """Variables that the app file gives it. The repository's Compose files may give others."""
        own = app_yaml.read(self.app.text)["services"].get(service, {}).get("environment", {})
        variant = self.plan.environment.get(service, {})
        secrets = {
            secret.name
            for secret in self.plan.secrets
            if not secret.internal and service in (secret.services or (service,))
        }
        return {*own, *variant, *secrets} & self.environment(service).keys()


def release(
    name: str,
    variant: str,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
    mistake: Mistake | None = None,
) -> Released:
    """Needs a `docker` with a real Compose in the runner's PATH."""
    before = scratch / "project"
    write_source(name, before)
    (before / "stand-in.json").write_text("{}")
    app_file, ref = _write_app(name, scratch / "apps", mistake or Mistake())
    for secret in app_yaml.read(app_file.read_text())["x-gpuhost"].get("secrets", ()):
        monkeypatch.setenv(secret, GIVEN.get(secret, f"planted-{secret}@example.com-0123456789"))
    app = load(app_file)
    opened = _opened(app, HOSTS[variant], scratch / "opt" / name)
    source_stage.fetch(opened)
    render(opened)
    model = json.loads(opened.paths.runs.read_text(encoding="utf-8"))
    return Released(ref, variant, app, opened.plan, model, opened.source)


def _opened(app: App, on: str, home: Path) -> Release:
    """The files of a release, as the controller sends them."""
    secrets = collect_secrets(app.block, app.path)
    source = resolve_source(app, secrets)
    overlay = read_overlay(app)
    plan = plan_release(
        app, chosen(app, on), DECLARED, host(on), revision=source.revision,
        overlay=overlay.revision if overlay else "", by="me", release_id=ID,
    )  # fmt: skip
    paths = AppPaths(home).release(ID)
    paths.home.mkdir(parents=True)
    paths.plan.write_text(plan.text(), encoding="utf-8")
    paths.compose.write_bytes(app.text)
    paths.given.write_bytes(secrets.document())
    assert source.archive is not None
    paths.archive.write_bytes(source.archive)
    if overlay:
        paths.overlay.write_bytes(overlay.content)
    if plan.nginx:
        paths.nginx.write_text(SITE, encoding="utf-8")
    return Release.open(AppPaths(home), ID)


def _write_app(name: str, directory: Path, mistake: Mistake) -> tuple[Path, str]:
    """The app file as it is shipped, but for the mistake and the place of its source."""
    app = app_yaml.read((PACKAGED / f"{name}.yaml").read_text(encoding="utf-8"))
    for path, value in mistake.put.items():
        _section(app, path)[_last(path)] = value
    for path in mistake.drop:
        del _section(app, path)[_last(path)]
    source = app["x-gpuhost"]["source"]
    ref = source["ref"]
    source["edits"] = _edits(source.get("edits", ()), mistake.without_edits)
    if overlay := source.pop("overlay", None):
        shutil.copytree(PACKAGED / overlay, directory / overlay)
        for file in mistake.without_overlay:
            (directory / overlay / file).unlink()
        source["overlay"] = overlay
    del source["git"], source["ref"]
    source["directory"] = "../project"
    directory.mkdir(exist_ok=True)
    path = directory / f"{name}.yaml"
    path.write_text(app_yaml.write(app), encoding="utf-8")
    return path, str(ref)


def _edits(edits: Sequence[Any], dropped: Sequence[str]) -> list[Any]:
    kept = [edit for edit in edits if not any(text in edit["find"] for text in dropped)]
    assert len(kept) <= len(edits) - len(dropped), "the mistake is already in the app file"
    return kept


def _section(value: Any, path: str) -> Any:
    for key in path.split(".")[:-1]:
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


def _last(path: str) -> Any:
    key = path.rpartition(".")[2]
    return int(key) if key.isdigit() else key
