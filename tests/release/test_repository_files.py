"""Compose files of a git repository, read before a release."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gpuhost.appfile.app import App
from gpuhost.appfile.compose.project_files import Kind, Unreadable
from gpuhost.appfile.errors import BadApp
from gpuhost.appfile.loading import load
from gpuhost.appfile.source import Source
from gpuhost.release import local_command
from gpuhost.release.git import BadGit
from gpuhost.release.git_files import commit_files
from gpuhost.release.resolved_app import ResolvedApp, resolve
from gpuhost.release.secrets import GivenSecrets
from tests.release.test_source import FAKE_SSH

FILES = {
    "docker/compose.yml": (
        "name: shop\nservices:\n  web:\n    build: ..\n    ports: ['${PORT}:80']\n"
        "    extends: {file: ../lib/base.yml, service: base}\n    volumes: ['./data:/data']\n"
    ),
    "docker/.env": "PORT=8080\n",
    "lib/base.yml": "services: {base: {restart: always}}\n",
    "kept/.gitkeep": "",
    "nested/sub/.gitkeep": "",
    "binary": "\udcff",
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a second commit that lacks the files."""
    path = tmp_path_factory.mktemp("git") / "app.git"
    work = path.with_name("work")
    for name, text in FILES.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text, errors="surrogateescape")
    (work / "link").symlink_to("docker")
    git = partial(_git, work)
    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-q", "-m", "1")
    git("tag", "first")
    git("rm", "-q", "-r", "docker", "lib")
    git("commit", "-q", "-m", "2")
    _git(work, "clone", "-q", "--bare", str(work), str(path))
    _git(path, "update-server-info")
    return path


def _git(directory: Path, *words: str) -> str:
    environment = {
        **os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b.invalid",
        "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b.invalid",
    }  # fmt: skip
    command = ["git", "-C", str(directory), *words]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment
    ).stdout.strip()


class Silent(SimpleHTTPRequestHandler):
    """The files of a repository: a server without shallow fetches."""

    def log_message(self, *arguments: Any) -> None:
        return


@pytest.fixture(params=["ssh", "files over http"])
def url(
    request: pytest.FixtureRequest,
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    if request.param == "ssh":
        programs = tmp_path / "bin"
        programs.mkdir()
        (programs / "ssh").write_text(FAKE_SSH)
        (programs / "ssh").chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        monkeypatch.setenv("SEEN", str(tmp_path))
        yield f"git@git.invalid:{repository}"
        return
    handler = partial(Silent, directory=str(repository.parent))
    serving = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=serving.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{serving.server_port}/app.git"
    serving.shutdown()
    thread.join()
    serving.server_close()


def _app(directory: Path, url: str, ref: str = "first", **block: Any) -> App:
    path = directory / "tts.yaml"
    source = {"git": url, "ref": ref}
    path.write_text(json.dumps({"x-gpuhost": {"source": source, **block}}))
    return load(path)


def _resolved(directory: Path, url: str, **more: Any) -> ResolvedApp:
    return resolve(_app(directory, url, **{"compose": "docker/compose.yml", **more}))


def test_the_files_of_a_commit(repository: Path, url: str) -> None:
    commit = _git(repository, "rev-parse", "first")
    with commit_files(Source(git=url), GivenSecrets(), commit) as files:
        expected = {
            ".": Kind.DIRECTORY, "docker": Kind.DIRECTORY, "kept": Kind.EMPTY, "gone": Kind.ABSENT,
            "nested": Kind.EMPTY, "binary": Kind.FILE, "link": Kind.DIRECTORY,
            "link/compose.yml": Kind.FILE,
        }  # fmt: skip
        assert {path: files.kind(path) for path in expected} == expected
        assert files.read("docker/.env") == files.read("link/.env") == "PORT=8080\n"
        with pytest.raises(Unreadable, match="not UTF-8"):
            files.read("binary")


def test_an_app_gets_the_compose_files_of_its_commit(tmp_path: Path, url: str) -> None:
    assert not _app(tmp_path, url, compose="docker/compose.yml").is_complete
    app = _resolved(tmp_path, url, directories={"data": {}}).app
    assert app.is_complete
    assert app.project == "shop"
    assert app.compose.services["web"].ports == ("8080:80",)
    assert app.compose.services["web"].restart == "always"
    assert app.files.files == ("docker/compose.yml",)
    assert list(app.block.directories) == ["docker/data"]


def test_mistakes_name_the_files_of_the_repository(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadApp) as raised:
        _resolved(tmp_path, url, gpu={"wep": {}}, secrets={"NOT_SET": {}})
    path = tmp_path / "tts.yaml"
    assert raised.value.lines[:1] == (
        f"{path}:1: x-gpuhost.gpu.wep: no such service in the Compose file: did you mean web?",
    )
    assert "secret NOT_SET" in raised.value.lines[1]
    with pytest.raises(BadApp, match=r"docker/compose.yml: no such file in the source"):
        _resolved(tmp_path, url, ref="main")


def test_a_commit_that_the_server_does_not_have(url: str) -> None:
    with (
        pytest.raises(BadGit, match=r"check source|no commit"),
        commit_files(Source(git=url), GivenSecrets(), "5" * 40),
    ):
        pass


def test_an_app_file_that_is_complete_reads_no_repository(tmp_path: Path) -> None:
    path = tmp_path / "tts.yaml"
    source = {"git": "https://nowhere.invalid/a.git", "ref": "5" * 40}
    service = {"build": ".", "ports": ["${PORT:-80}:80"]}
    path.write_text(json.dumps({"x-gpuhost": {"source": source}, "services": {"a": service}}))
    app = load(path)
    assert app.is_complete
    assert resolve(app).source is not None


def _tree(repository: Path, *entries: str) -> str:
    return subprocess.run(
        ["git", "mktree"], cwd=repository, input="".join(f"{line}\n" for line in entries),
        check=True, stdout=subprocess.PIPE, text=True,
    ).stdout.strip()  # fmt: skip


def _commit(repository: Path, tree: str, name: str) -> str:
    commit = _git(repository, "commit-tree", "-m", name, tree)
    _git(repository, "update-ref", f"refs/heads/{name}", commit)
    _git(repository, "update-server-info")
    return commit


def test_a_commit_with_any_number_of_files(
    repository: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few objects stand for 10 ** 8 files, whose names would fill the memory."""
    monkeypatch.setattr(local_command, "MOST_OUTPUT", 1 << 20)
    tree = _tree(repository)
    for _ in range(8):
        tree = _tree(repository, *(f"040000 tree {tree}\td{n}" for n in range(10)))
    commit = _commit(repository, tree, "bomb")
    with (
        pytest.raises(BadGit, match="printed more than 1 MB"),
        commit_files(Source(git=url), GivenSecrets(), commit),
    ):
        pass


def test_large_files_and_links(repository: Path, url: str, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * (1 << 20) + b"x")
    blob = _git(repository, "hash-object", "-w", str(tmp_path / "large"))
    tree = _tree(repository, f"100644 blob {blob}\tfile", f"120000 blob {blob}\tlink")
    commit = _commit(repository, tree, "large")
    with commit_files(Source(git=url), GivenSecrets(), commit) as files:
        for name in ("file", "link"):
            with pytest.raises(Unreadable, match="larger than 1048576 bytes"):
                files.read(name)


def test_a_chain_of_links_is_followed_as_linux_does_or_leads_nowhere(
    repository: Path, url: str, tmp_path: Path
) -> None:
    """A link itself is never taken for a file: its text is chosen like a name, "{x-a: 1}"."""

    def blob(text: str) -> str:
        (tmp_path / "text").write_text(text)
        return _git(repository, "hash-object", "-w", str(tmp_path / "text"))

    chain = [f"120000 blob {blob(f'l{n + 1}')}\tl{n}" for n in range(44)]
    ends = (f"120000 blob {blob('end')}\tl44", f"100644 blob {blob('services: {}')}\tend")
    commit = _commit(repository, _tree(repository, *chain, *ends), "chain")
    with commit_files(Source(git=url), GivenSecrets(), commit) as files:
        assert (files.kind("l5"), files.read("l5")) == (Kind.FILE, "services: {}")
        for name in ("l0", "l1"):
            assert files.kind(name) is Kind.ABSENT
            with pytest.raises(Unreadable):
                files.read(name)
