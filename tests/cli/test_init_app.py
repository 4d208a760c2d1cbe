"""`gpuhost init --app NAME --from PROJECT`: what it writes, prints and refuses."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gpuhost.appfile.loading import load
from gpuhost.cli import cli

COMPOSE = """services:
  api: {build: ., ports: ["8000:8000"], environment: ["API_KEY=${API_KEY}"], env_file: .env}
  job: {image: "j:1", environment: ["TOKEN=${TOKEN}"]}
"""
# Runs what git would run on the server.
FAKE_SSH = '#!/bin/sh\nfor word in "$@"; do last=$word; done\neval "exec $last"\n'


def init(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["init", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory: that of the user's own repository."""
    directory = tmp_path / "hosts"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = tmp_path / "my project"
    directory.mkdir()
    (directory / "compose.yaml").write_text(COMPOSE)
    (directory / "Dockerfile").write_text("FROM nvidia/cuda:12.4.1-base\n")
    (directory / ".env.example").write_text("API_KEY=\nTOKEN=\n")
    return directory


@pytest.fixture
def repository(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Its URL; the branch `old` has no Compose file."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "ssh").write_text(FAKE_SSH)
    (programs / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "a")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "a@b.invalid")
    git(project, "init", "-q", "-b", "main")
    git(project, "commit", "-q", "--allow-empty", "-m", "empty")
    git(project, "branch", "old")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "all")
    git(project, "clone", "-q", "--bare", ".", str(tmp_path / "app.git"))
    return f"git@git.invalid:{tmp_path / 'app.git'}"


def git(project: Path, *words: str) -> str:
    command = ["git", "-C", str(project), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_directory(here: Path, project: Path) -> None:
    run = init("--app", "tts", "--from", "../my project")
    assert (run.exit_code, run.output.splitlines()) == (
        0,
        [
            "apps/tts.yaml written. Read its comments, 1 marked TODO; then run",
            "  cp '../my project/.env.example' apps/tts.env   # and edit it",
            "  gpuhost deploy inventory.py tts --dry",
        ],
    )
    app = load(here / "apps" / "tts.yaml")
    assert app.directory and app.directory.resolve() == project
    assert app.block.gpu["api"].cuda == "12.4"
    assert set(app.compose.services) == {"api", "job"}


def test_secrets_to_export(project: Path) -> None:
    (project / "compose.yaml").write_text(COMPOSE.replace(", env_file: .env", ""))
    said = init("--app", "tts", "--from", project).output
    assert "  export API_KEY=…\n  export TOKEN=…\n  gpuhost deploy" in said


def test_a_repository(here: Path, project: Path, repository: str) -> None:
    run = init("--app", "tts", "--from", f"{repository}#main")
    assert (run.exit_code, run.output.splitlines()[1:]) == (
        0,
        [
            "  $EDITOR apps/tts.env   # write it, as .env.example of the project shows",
            "  gpuhost deploy inventory.py tts --dry",
        ],
    )
    commit = git(project, "rev-parse", "main")
    assert "  # the newest of main" in (here / "apps" / "tts.yaml").read_text()
    block = load(here / "apps" / "tts.yaml").block
    assert block.source and (block.source.git, block.source.ref) == (repository, commit)
    assert block.gpu["api"].cuda == "12.4"
    assert init("--app", "head", "--from", repository).exit_code == 0
    assert "the newest of its branch" in (here / "apps" / "head.yaml").read_text()


def test_a_branch_that_is_not_there(here: Path, repository: str) -> None:
    """The advice is about what was typed: there is no app file yet."""
    result = init("--app", "tts", "--from", f"{repository}#new")
    assert result.exit_code == 1
    assert "has no branch or tag 'new'; check the URL, the part after #," in result.output
    assert "source." not in result.output


def test_the_branch_is_read(here: Path, repository: str) -> None:
    assert "it has no Compose file" in refused(here, "--app", "tts", "--from", f"{repository}#old")
    said = refused(here, "--app", "tts", "--from", f"{repository}#nothing")
    assert "has no branch or tag 'nothing'" in said


def refused(here: Path, *arguments: str | Path) -> str:
    """What is said; nothing is written."""
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    run = init(*arguments)
    assert run.exit_code not in (0, None)
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before
    assert "Traceback" not in run.output
    return run.output


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("nowhere", "nowhere: no such directory; give a directory, or a git URL (https://…)"),
        ("../my project/Dockerfile", "Dockerfile: is not a directory"),
        ("file:///tmp/x", "file:///tmp/x: not a git URL; use https://…, ssh://… or git@host:path"),
        ("https://me:hunter2@git.invalid/x", "must not contain a login; clone the repository"),
        ("https://git.invalid/x#-x", "'-x' is not a branch, tag or commit"),
        ("", "--from is empty: give a directory or a git URL"),
        (".", "it has no Compose file"),
    ],
)
def test_what_cannot_be_read(here: Path, project: Path, named: str, says: str) -> None:
    said = refused(here, "--app", "tts", "--from", named)
    assert says in said
    assert "hunter2" not in said
    assert not (here / "apps").exists()


def test_a_compose_file_that_is_wrong(here: Path, project: Path) -> None:
    (project / "compose.yaml").write_text("services:\n  a: {image: a, image: b}\n")
    said = refused(here, "--app", "tts", "--from", project)
    assert f"Error: nothing was written: {project}:\n  compose.yaml:2: services.a.image" in said
    (project / "compose.yaml").write_text("include: [gone.yaml]\n")
    assert "gone.yaml: no such file" in refused(here, "--app", "tts", "--from", project)
    (project / "compose.yaml").write_text("services: {}\n")
    assert "it has no services" in refused(here, "--app", "tts", "--from", project)
    (project / "compose.yaml").write_bytes(b"\xff")
    assert "\n  compose.yaml: not UTF-8" in refused(here, "--app", "tts", "--from", project)


def test_a_file_of_secrets_is_kept_out_of_git(here: Path, project: Path) -> None:
    (project / ".env.example").rename(project / ".env.sample")
    line = "  echo '*.env' >>.gitignore   # it holds secrets"
    assert line not in init("--app", "tts", "--from", project).output.splitlines()
    git(here, "init", "-q")
    assert line in init("--app", "asr", "--from", project).output.splitlines()
    (here / ".gitignore").write_text("*.env\n")
    assert line not in init("--app", "ocr", "--from", project).output.splitlines()


def test_a_file_is_not_overwritten(here: Path, project: Path) -> None:
    (here / "apps").mkdir()
    (here / "apps" / "tts.yaml").write_text("mine")
    said = refused(here, "--app", "tts", "--from", project)
    assert said == "gpuhost: nothing was written: already exists: apps/tts.yaml\n"
    (here / "apps" / "tts.yaml").unlink()
    (here / "apps" / "tts.yaml").symlink_to("nowhere")
    assert "already exists" in refused(here, "--app", "tts", "--from", project)


def test_a_file_in_place_of_apps(here: Path, project: Path) -> None:
    (here / "apps").write_text("mine")
    assert "apps" in refused(here, "--app", "tts", "--from", project)


@pytest.mark.parametrize(
    "arguments", [("--app", "tts"), ("--from", "."), ("--app", "tts", "--from", ".", "hosts")]
)
def test_options_that_belong_together(here: Path, arguments: tuple[str, ...]) -> None:
    assert "--app and --from need each other, and no DIRECTORY" in refused(here, *arguments)


@pytest.mark.parametrize("name", ["../x", "A", "", "a.b"])
def test_a_name_that_no_app_can_have(here: Path, project: Path, name: str) -> None:
    assert "invalid app name" in refused(here, "--app", name, "--from", project)


def test_data_that_git_ignores(here: Path, project: Path, repository: str) -> None:
    (project / "compose.yaml").write_text("services: {a: {image: a, volumes: ['./data:/data']}}")
    (project / "data").mkdir()
    (project / "data" / "x.bin").write_text("x")
    assert init("--app", "one", "--from", project).exit_code == 0
    assert not load(here / "apps" / "one.yaml").block.directories
    (project / ".gitignore").write_text("data/\n")
    assert init("--app", "two", "--from", project).exit_code == 0
    assert set(load(here / "apps" / "two.yaml").block.directories) == {"data"}
