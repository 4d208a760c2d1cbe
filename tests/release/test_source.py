"""The revision of a source, resolved from real repositories, over HTTP and a fake ssh."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gpuhost.appfile.app import App
from gpuhost.appfile.loading import load
from gpuhost.release import git
from gpuhost.release.secrets import GivenSecrets, SecretValue
from gpuhost.release.source import BadSource, ResolvedSource, resolve_source, short_revision

TOKEN = "t0ken-'\"$`"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nbm90IGEga2V5\n-----END OPENSSH PRIVATE KEY-----"
GIVEN = GivenSecrets({"TOKEN": SecretValue(TOKEN), "KEY": SecretValue(KEY)})
UNKNOWN = "5" * 40


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Branches main, feature/main and both; tags light, annotated and both."""
    path = tmp_path_factory.mktemp("git") / "app.git"
    work = path.with_name("work")
    environment = {
        **os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b.invalid",
        "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b.invalid",
    }  # fmt: skip

    def run(*words: str) -> None:
        subprocess.run(["git", *words], check=True, capture_output=True, env=environment)

    run("init", "-q", "-b", "main", str(work))
    in_work = partial(run, "-C", str(work))
    for number, names in enumerate((["tag light"], ["tag -a annotated -m x"], ["branch both"])):
        in_work("commit", "-q", "--allow-empty", "-m", str(number))
        for name in names:
            in_work(*name.split())
    in_work("commit", "-q", "--allow-empty", "-m", "last")
    in_work("tag", "both")
    in_work("branch", "feature/main", "HEAD~2")
    run("clone", "-q", "--bare", str(work), str(path))
    run("-C", str(path), "update-server-info")
    return path


def _commit(repository: Path, name: str) -> str:
    command = ["git", "-C", str(repository), "rev-parse", f"{name}^{{commit}}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _app(directory: Path, source: dict[str, Any] | None, image: str = "a") -> App:
    block = {"source": source, "secrets": {"TOKEN": {}, "KEY": {}}} if source else {}
    path = directory / "app.yaml"
    path.write_text(json.dumps({"x-gpuhost": block, "services": {"a": {"image": image}}}))
    return load(path)


def _resolve(tmp_path: Path, **source: Any) -> ResolvedSource:
    return resolve_source(_app(tmp_path, source), GIVEN)


def _refusal(tmp_path: Path, **source: Any) -> str:
    with pytest.raises(BadSource) as caught:
        _resolve(tmp_path, **source)
    said = str(caught.value)
    assert TOKEN not in said
    assert "bm90IGEga2V5" not in said
    return said


@pytest.mark.parametrize(
    ("ref", "name"),
    [
        ("HEAD", "main"),
        ("main", "refs/heads/main"),
        ("feature/main", "refs/heads/feature/main"),
        ("light", "refs/tags/light"),
        ("annotated", "refs/tags/annotated"),
        ("refs/heads/both", "refs/heads/both"),
        ("refs/tags/both", "refs/tags/both"),
        ("refs/tags/annotated", "refs/tags/annotated"),
    ],
)
def test_branches_and_tags(
    tmp_path: Path, repository: Path, ssh: Path, ref: str, name: str
) -> None:
    found = _resolve(tmp_path, git=f"git@git.invalid:{repository}", ref=ref)
    assert found == ResolvedSource(_commit(repository, name))


def test_a_full_commit_hash_needs_no_server(tmp_path: Path) -> None:
    assert _resolve(tmp_path, git="https://nowhere.invalid/a.git", ref=UNKNOWN).revision == UNKNOWN


@pytest.mark.parametrize(
    ("ref", "says"),
    [
        ("nothing", r"has no branch or tag 'nothing'; check source.ref$"),
        ("ain", r"has no branch or tag 'ain'"),
        ("5555555", r"no branch or tag '5555555'; write a commit with all its 40 digits"),
        ("both", r"a branch and a tag 'both'; write refs/heads/both or refs/tags/both"),
    ],
)
def test_an_unknown_or_ambiguous_revision(
    tmp_path: Path, repository: Path, ssh: Path, ref: str, says: str
) -> None:
    with pytest.raises(BadSource, match=says):
        _resolve(tmp_path, git=f"git@git.invalid:{repository}", ref=ref)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (
            {"git": "git@a.invalid:/no/such.git"},
            "not appear to be a git repository; .*check source.git",
        ),
        ({"git": "git@a.invalid:a", "token": "TOKEN"}, "source.token is for https, and"),
        ({"git": "https://a.invalid/a", "deploy_key": "KEY"}, "deploy_key is for ssh, and"),
        ({"directory": "missing"}, "missing is not a directory on this machine"),
    ],
)
def test_invalid_sources(tmp_path: Path, ssh: Path, source: dict[str, str], says: str) -> None:
    assert re.search(says, _refusal(tmp_path, **source))


def test_a_directory_beside_the_app_file(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a").write_text("x")
    one = _resolve(tmp_path, directory="src")
    assert one.archive is not None
    assert one == _resolve(tmp_path, directory=str(tmp_path / "src"))
    (tmp_path / "src" / "a").write_text("y")
    assert _resolve(tmp_path, directory="src").revision != one.revision


def test_an_app_without_a_source(tmp_path: Path) -> None:
    one, other = (
        resolve_source(_app(tmp_path, None, image), GivenSecrets()) for image in ("a", "b")
    )
    assert one.archive is None
    assert one.revision != other.revision
    assert len(short_revision(one.revision)) == 12


def test_a_silent_server_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git, "LIMIT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        said = _refusal(tmp_path, git=f"http://127.0.0.1:{silent.getsockname()[1]}/a.git")
    assert "no result within" in said
    assert said.endswith("check source.git and the network of this machine")


def test_git_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install git" in _refusal(tmp_path, git="https://a.invalid/a.git")


class Guarded(SimpleHTTPRequestHandler):
    """A repository as files, with a token; records command lines that contain the token."""

    def do_GET(self) -> None:
        user_and_token = base64.b64encode(f"deploy:{TOKEN}".encode()).decode()
        self.server.seen += _command_lines_with(TOKEN)  # type: ignore[attr-defined]
        if self.headers.get("Authorization") == f"Basic {user_and_token}":
            super().do_GET()
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        return


def _command_lines_with(text: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = process.read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        found += [line] if text in line else []
    return found


@pytest.fixture
def server(repository: Path) -> Iterator[ThreadingHTTPServer]:
    handler = partial(Guarded, directory=str(repository.parent))
    serving = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    serving.seen = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=serving.serve_forever)
    thread.start()
    yield serving
    serving.shutdown()
    thread.join()
    serving.server_close()


def test_a_token(tmp_path: Path, repository: Path, server: ThreadingHTTPServer) -> None:
    url = f"http://127.0.0.1:{server.server_port}/app.git"
    found = _resolve(tmp_path, git=url, ref="main", token="TOKEN", user="deploy")
    assert found.revision == _commit(repository, "main")
    assert server.seen == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("source", [{}, {"token": "TOKEN", "user": "other"}])
def test_a_missing_or_wrong_token(
    tmp_path: Path, server: ThreadingHTTPServer, source: dict[str, str]
) -> None:
    said = _refusal(tmp_path, git=f"http://127.0.0.1:{server.server_port}/app.git", **source)
    assert said.endswith("set source.token to a secret with a token that may read it")


FAKE_SSH = """#!/bin/sh
printf '%s\\n' "$@" >"$SEEN/arguments"
for word in "$@"; do
    case $before$word in
        -i?*) cp "$word" "$SEEN/key"; stat -c %a "$word" "$(dirname "$word")" >"$SEEN/modes";;
        *-oUserKnownHostsFile=*) cp "${word#*=}" "$SEEN/known_hosts";;
    esac
    before=; [ "$word" = -i ] && before=-i
done
[ -e "$SEEN/refuse" ] && { cat "$SEEN/refuse" >&2; exit 255; }
for word in "$@"; do last=$word; done
eval "exec $last"
"""


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which the fake ssh records its arguments and files."""
    programs, seen = tmp_path / "bin", tmp_path / "seen"
    programs.mkdir()
    seen.mkdir()
    (programs / "ssh").write_text(FAKE_SSH)
    (programs / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("SEEN", str(seen))
    return seen


def test_a_deploy_key(tmp_path: Path, repository: Path, ssh: Path) -> None:
    line = "git.invalid ssh-ed25519 AAAA"
    url = f"ssh://git@git.invalid{repository}"
    found = _resolve(tmp_path, git=url, deploy_key="KEY", known_hosts=[line])
    assert found.revision == _commit(repository, "main")
    assert (ssh / "key").read_text() == f"{KEY}\n"
    assert (ssh / "modes").read_text().split() == ["600", "700"]
    assert (ssh / "known_hosts").read_text() == f"{line}\n"
    arguments = (ssh / "arguments").read_text().splitlines()
    assert {"-oBatchMode=yes", "-oIdentitiesOnly=yes", "-oStrictHostKeyChecking=yes"} <= {
        *arguments
    }
    (key,) = (word for word in arguments if word.endswith("/key"))
    assert not Path(key).parent.exists()


def test_without_a_deploy_key_the_users_key_is_used(
    tmp_path: Path, repository: Path, ssh: Path
) -> None:
    assert _resolve(tmp_path, git=f"git@git.invalid:{repository}").revision
    assert not (ssh / "key").exists()
    arguments = (ssh / "arguments").read_text()
    assert "-oStrictHostKeyChecking=accept-new" in arguments
    # A ControlMaster of the user would keep git's output open.
    assert "-oControlMaster=no\n-oControlPath=none" in arguments


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        ("git@git.invalid: Permission denied (publickey).", "set source.deploy_key"),
        ("Host key verification failed.", "add the server's line to source.known_hosts"),
        ("ssh: Could not resolve hostname git.invalid", "check source.git and the network"),
    ],
)
def test_errors_of_ssh_have_a_fix(tmp_path: Path, ssh: Path, error: str, fix: str) -> None:
    (ssh / "refuse").write_text(f"{error} {KEY.splitlines()[1]}\n")
    said = _refusal(tmp_path, git="git@git.invalid:a.git", deploy_key="KEY")
    assert error in said
    assert fix in said


def test_private_files_have_mode_600(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        git._private(tmp_path / "file", "x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
