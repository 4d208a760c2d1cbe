"""A project as an app: read, planned for a host, and packed, as `gpuhost deploy` does."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpuhost.appfile.app import App
from gpuhost.appfile.errors import BadApp
from gpuhost.appfile.loading import load
from gpuhost.checks.finding import Status
from gpuhost.checks.preflight import preflight
from gpuhost.release.planning import plan_release
from gpuhost.release.secrets import collect_secrets
from gpuhost.release.source import BadSource, resolve_source
from gpuhost.release.variant import NoVariant, choose_variant
from gpuhost.runner.plan import Plan
from gpuhost.settings.merge import Layer, merge_layers
from tests.checks.test_app import PROVISIONED
from tests.compose.project import Project
from tests.recorded import snapshot_of

CARD, NO_CARD = "debian13-p40", "debian13-docker"
# What every host has.
NETWORKS = {"docker_networks": {"out": "proxy\tbridge\t\t\n"}}
RELEASE = "20260101-000000-aaaaaaaa"
# Where the app file is: apart from the project, beside its files, or it is the Compose file itself.
APART, BESIDE, INLINE = "apart", "beside", "inline"


@dataclass(frozen=True)
class Planned:
    """Either the plan and the source, or a refusal."""

    app_file: bytes = b""
    plan: Plan | None = None
    source: Path | None = None
    refused: str = ""


def plan_project(
    project: Project, place: str, host: str, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> Planned:
    for name, value in project.secrets.items():
        monkeypatch.setenv(name, value)
    directory = scratch / "project"
    project.write(directory, brought=False)
    app_file = write_app(project, place, directory)
    try:
        return _planned(load(app_file), host, scratch)
    except (BadApp, BadSource) as error:
        return Planned(refused=str(error))


def write_app(project: Project, place: str, directory: Path) -> Path:
    block: dict[str, Any] = dict(project.block)
    text = ""
    if place == INLINE:
        text = (directory / "compose.yaml").read_text(encoding="utf-8")
        (directory / "compose.yaml").unlink()
    path = directory / f"{project.name}.yaml"
    if place == APART:
        block["source"] = {"directory": "../project"}
        path = directory.parent / "apps" / path.name
        path.parent.mkdir()
    block_text = yaml.safe_dump({"x-gpuhost": block or None}).replace("$", "$$")
    path.write_text(f"{text}\n{block_text}", encoding="utf-8")
    return path


def _planned(app: App, host: str, scratch: Path) -> Planned:
    """Raises BadApp or BadSource."""
    snapshot = snapshot_of({"host": host, "probes": NETWORKS})
    settings = merge_layers([Layer("the test", dict(PROVISIONED[host]))])
    secrets = collect_secrets(app.block, app.path)
    source = resolve_source(app, secrets)
    variant = choose_variant(app, snapshot, settings)
    if isinstance(variant, NoVariant):
        return Planned(refused=variant.reason)
    plan = plan_release(
        app, variant, settings, snapshot, revision=source.revision, by="me", release_id=RELEASE
    )
    findings = preflight(snapshot, app, variant, settings)
    failed = [finding for finding in findings if finding.status is Status.FAIL]
    if failed:
        return Planned(refused="; ".join(f"{one.id}: {one.actual}; {one.fix}" for one in failed))
    return Planned(app.text, plan, _unpacked(source.archive, scratch / "sent"))


def _unpacked(archive: bytes | None, into: Path) -> Path | None:
    if archive is None:
        return None
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        tar.extractall(into)
    return into
