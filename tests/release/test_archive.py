"""A packed directory is the same on every machine, and has only the files that builds need."""

from __future__ import annotations

import io
import os
import socket
import tarfile
import time
from pathlib import Path

import pytest

from gpuhost.release.archive import Archive, BadDirectory, pack
from gpuhost.release.build_context import BuildContext
from gpuhost.release.selection import Selection


def _members(archive: Archive) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(archive.content)) as opened:
        return {member.name: member for member in opened.getmembers()}


def _write(directory: Path, *names: str) -> None:
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, "utf-8")


def test_everything_except_git_is_packed(tmp_path: Path) -> None:
    _write(tmp_path, "Dockerfile", "src/a.py", ".git/HEAD", "module/.git", "module/b", ".gitignore")
    (tmp_path / "empty").mkdir()
    assert list(_members(pack(tmp_path))) == [
        ".gitignore", "Dockerfile", "empty", "module", "module/b", "src", "src/a.py",
    ]  # fmt: skip


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    names = ["b", "a/ä", "a/b", "Z", "x" * 120 + "/" + "y" * 120]
    one, other = tmp_path / "one", tmp_path / "other"
    _write(one, *names)
    _write(other, *reversed(names))
    for path in other.rglob("*"):
        os.utime(path, (time.time() - 1000,) * 2)
    assert pack(one) == pack(other)


@pytest.mark.parametrize("change", ["content", "mode", "name", "more", "link"])
def test_every_change_makes_another_revision(tmp_path: Path, change: str) -> None:
    _write(tmp_path, "a", "b")
    before = pack(tmp_path)
    match change:
        case "content":
            (tmp_path / "a").write_text("A")
        case "mode":
            (tmp_path / "a").chmod(0o755)
        case "name":
            (tmp_path / "a").rename(tmp_path / "c")
        case "more":
            (tmp_path / "empty").mkdir()
        case "link":
            (tmp_path / "b").unlink()
            (tmp_path / "b").symlink_to("a")
    assert pack(tmp_path).revision != before.revision


def test_the_umask_does_not_change_the_revision(tmp_path: Path) -> None:
    """Write permissions of a group depend on the checkout, not on the app."""
    made = []
    for name, (directory, executable, plain) in {
        "022": (0o755, 0o755, 0o644),
        "002": (0o775, 0o775, 0o664),
        "077": (0o700, 0o700, 0o600),
    }.items():
        _write(tmp_path / name, "src/a", "src/run.sh")
        (tmp_path / name / "src").chmod(directory)
        (tmp_path / name / "src/run.sh").chmod(executable)
        (tmp_path / name / "src/a").chmod(plain)
        made.append(pack(tmp_path / name))
    assert made[0] == made[1] == made[2]
    modes = {name: member.mode for name, member in _members(made[0]).items()}
    assert modes == {"src": 0o755, "src/a": 0o644, "src/run.sh": 0o755}


def test_owners_and_times_are_not_packed(tmp_path: Path) -> None:
    _write(tmp_path, "run.sh")
    (tmp_path / "run.sh").chmod(0o4755)
    member = _members(pack(tmp_path))["run.sh"]
    assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
    assert (member.mtime, member.mode) == (0, 0o755)


def test_ignored_files_that_the_build_needs_are_packed(tmp_path: Path) -> None:
    """The host builds with them, and applies the ignore rules again."""
    _write(tmp_path, "Dockerfile", "docker/gpu.Dockerfile", "a.md", "b.py")
    (tmp_path / ".dockerignore").write_text("*\n!b.py\n")
    contexts = [BuildContext(), BuildContext(".", "docker/gpu.Dockerfile")]
    assert set(_members(pack(tmp_path, contexts))) == {
        ".dockerignore", "Dockerfile", "docker/gpu.Dockerfile", "b.py",
    }  # fmt: skip


def test_each_context_has_its_own_ignore_rules(tmp_path: Path) -> None:
    """A file that one image ignores can be part of another."""
    _write(
        tmp_path, "web/a", "web/secret", "api/a", "api/secret", "api/b", "shared/x", "Dockerfile"
    )
    (tmp_path / "api" / ".dockerignore").write_text("secret\n")
    (tmp_path / ".dockerignore").write_text("**/secret\napi\nshared\n")
    inside = set(_members(pack(tmp_path, [BuildContext(), BuildContext("api")])))
    assert {"web/a", "api/a", "api/b", "Dockerfile"} <= inside
    assert not {"web/secret", "api/secret", "shared/x"} & inside
    alone = set(_members(pack(tmp_path, [BuildContext("./api/")])))
    assert {"web/secret", "shared/x", "api/a"} <= alone
    assert "api/secret" not in alone


def test_ignore_rules_of_a_dockerfile_win(tmp_path: Path) -> None:
    _write(tmp_path, "gpu.Dockerfile", "a", "b")
    (tmp_path / ".dockerignore").write_text("a\n")
    (tmp_path / "gpu.Dockerfile.dockerignore").write_text("b\n")
    inside = set(_members(pack(tmp_path, [BuildContext(".", "gpu.Dockerfile")])))
    assert "a" in inside
    assert "b" not in inside


def test_links_inside_the_directory_are_kept(tmp_path: Path) -> None:
    _write(tmp_path, "a/file", "b/x")
    (tmp_path / "b" / "link").symlink_to("../a/./file")
    (tmp_path / "b" / "directory").symlink_to("../a")
    (tmp_path / "b" / "nowhere").symlink_to("missing")
    members = _members(pack(tmp_path))
    assert members["b/link"].linkname == "../a/./file"
    assert members["b/directory"].issym()
    assert members["b/nowhere"].linkname == "missing"
    assert "b/directory/file" not in members


@pytest.mark.parametrize("target", ["/etc/passwd", "..", "../../x", "../b/../../x"])
def test_links_to_outside_are_sent_as_they_are(tmp_path: Path, target: str) -> None:
    """A clone has them too: node_modules, a link of a developer that leads nowhere."""
    directory = tmp_path / "source"
    _write(directory, "a")
    (directory / "link").symlink_to(target)
    link = _members(pack(directory))["link"]
    assert link.issym()
    assert link.linkname == target


@pytest.mark.parametrize("used", ["link", "link/below", "link/Dockerfile"])
def test_a_link_to_outside_that_the_compose_files_use_is_refused(tmp_path: Path, used: str) -> None:
    _write(tmp_path / "source", "a")
    (tmp_path / "source" / "link").symlink_to("../other")
    contexts, named = (), Selection(frozenset({used}))
    if used.endswith("Dockerfile"):
        contexts, named = (BuildContext("link"),), Selection()
    with pytest.raises(BadDirectory, match=r"the link link points outside, to \.\./other"):
        pack(tmp_path / "source", contexts, named)


def test_sockets_and_pipes_are_left_out(tmp_path: Path) -> None:
    _write(tmp_path, "a")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        assert list(_members(pack(tmp_path))) == ["a"]


def test_file_names_that_are_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff\xfe")).write_text("x")
    assert [os.fsencode(name) for name in _members(pack(tmp_path))] == [b"\xff\xfe"]


@pytest.mark.parametrize("kind", ["missing", "a file"])
def test_a_source_that_is_not_a_directory(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a file").write_text("")
    with pytest.raises(BadDirectory, match=r"is not a directory on this machine; it is relative"):
        pack(tmp_path / kind)


def test_a_file_that_disappears_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path, "a", "b")
    whole = Path.open

    def gone(path: Path, *arguments: str) -> object:
        if path.name == "b":
            path.unlink()
        return whole(path, *arguments)

    monkeypatch.setattr(Path, "open", gone)
    with pytest.raises(BadDirectory, match=r"cannot be read: .*/b: No such file"):
        pack(tmp_path)
