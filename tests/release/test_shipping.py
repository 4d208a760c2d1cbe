"""What of a local directory is sent: all that the Compose files name."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpuhost.appfile.app import App
from gpuhost.appfile.loading import load
from gpuhost.release.secrets import GivenSecrets
from gpuhost.release.source import BadSource, local_revision, resolve_source

COMPOSE = {
    "include": ["more/more.yml"],
    "services": {
        "app": {
            "build": {"context": "app", "additional_contexts": {"lib": "./lib"}},
            "env_file": [".env", {"path": "absent.env", "required": False}],
            "volumes": ["./conf/app.conf:/etc/app.conf", "./static:/static", "./data:/data"],
            "secrets": ["key"],
            "configs": ["one"],
        }
    },
    "secrets": {"key": {"file": "./key.pem"}},
    "configs": {"one": {"file": "conf/one.json"}},
}
FILES = (
    *(".env", "key.pem", "conf/app.conf", "conf/one.json", "conf/other", "static/a/b.html"),
    *("more/more.yml", "app/Dockerfile", "app/a.py", "app/b.log", "lib/c.py", "unused.txt"),
    "data/dump",
)


def _app(directory: Path, block: dict[str, Any], compose: dict[str, Any] | None = None) -> App:
    project = directory / "project"
    for name in FILES:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(name if name != ".env" else "A=1")
    (project / "more" / "more.yml").write_text("services: {b: {image: b}}")
    (project / "app" / ".dockerignore").write_text("*.log\n")
    (project / ".dockerignore").write_text("*\n")
    (project / "compose.yaml").write_text(yaml.safe_dump(compose or COMPOSE))
    path = (project if block.get("source") is None else directory) / "tts.yaml"
    path.write_text(json.dumps({"x-gpuhost": block}))
    return load(path)


def _members(app: App) -> dict[str, int]:
    """Files that are sent, with their modes."""
    source = resolve_source(app, GivenSecrets())
    assert source.archive is not None
    assert local_revision(app) == source.revision
    with tarfile.open(fileobj=io.BytesIO(source.archive)) as opened:
        return {one.name: one.mode for one in opened.getmembers() if one.isfile()}


NAMED = {
    *(".env", "key.pem", "conf/app.conf", "conf/one.json", "static/a/b.html", "data/dump"),
    *("more/more.yml", "compose.yaml", "app/Dockerfile", "app/.dockerignore", "app/a.py"),
    "lib/c.py",
}


def test_without_a_source_only_what_is_named_is_sent(tmp_path: Path) -> None:
    members = _members(_app(tmp_path, {}))
    assert set(members) == NAMED
    assert {name for name, mode in members.items() if mode == 0o600} == {".env", "key.pem"}


def test_a_directory_is_sent_with_what_dockerignore_excludes(tmp_path: Path) -> None:
    compose = {**COMPOSE, "services": {"app": {**COMPOSE["services"]["app"], "build": "."}}}  # type: ignore[index]
    block = {"source": {"directory": "project"}}
    members = _members(_app(tmp_path, block, compose))
    assert set(members) == {*NAMED, ".dockerignore"} - {
        *("app/.dockerignore", "app/a.py", "app/Dockerfile", "lib/c.py")
    }
    assert members[".env"] == members["key.pem"] == 0o600


def test_what_directories_names_is_sent_like_any_file(tmp_path: Path) -> None:
    """It is data: .dockerignore applies."""
    block = {"source": {"directory": "project"}, "directories": {"data": {}, "static": {}}}
    compose = {"services": {"app": {"build": ".", "volumes": ["./data:/data", "./static:/s"]}}}
    assert set(_members(_app(tmp_path, block, compose))) == {
        *(".dockerignore", ".env", "compose.yaml")
    }


def test_a_bind_that_git_ignores_is_data(tmp_path: Path) -> None:
    app = _app(tmp_path, {"source": {"directory": "project"}})
    project = tmp_path / "project"
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    before = _members(app)
    assert "data/dump" in before
    (project / ".gitignore").write_text("/data\n.env\n")
    after = _members(app)
    assert set(before) - set(after) == {"data/dump"}


@pytest.mark.parametrize("name", sorted(NAMED - {"compose.yaml", "more/more.yml"}))
def test_every_named_file_changes_the_revision(name: str, tmp_path: Path) -> None:
    app = _app(tmp_path, {})
    before = local_revision(app)
    (tmp_path / "project" / name).write_text("B=2")
    assert local_revision(app) != before


def test_a_dockerfile_outside_its_context(tmp_path: Path) -> None:
    build = {"context": "app", "dockerfile": "../conf/app.conf"}
    compose = {"services": {"a": {"build": build}, "b": {"build": {"dockerfile_inline": "FROM x"}}}}
    compose["services"]["b"]["build"]["context"] = "lib"
    assert set(_members(_app(tmp_path, {}, compose))) == {
        *(".env", "app/.dockerignore", "app/Dockerfile", "app/a.py", "compose.yaml"),
        *("conf/app.conf", "lib/c.py"),
    }


def test_an_app_of_images_sends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tts.yaml"
    path.write_text("services: {a: {image: a, volumes: ['./data:/data', 'v:/v', '/srv:/s']}}")
    assert resolve_source(load(path), GivenSecrets()).archive is None


def test_a_build_context_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "tts.yaml"
    path.write_text("services: {a: {build: gone}}")
    with pytest.raises(BadSource, match="context gone is not a directory beside the app file; set"):
        resolve_source(load(path), GivenSecrets())
