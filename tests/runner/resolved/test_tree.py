"""Facts about paths of the source, and copies of files that containers mount."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.lib.abort import Aborted, abortable
from gpuhost.runner.resolved import tree
from gpuhost.runner.resolved.path_facts import ABSENT, DIRECTORY, EMPTY, FILE
from gpuhost.runner.resolved.project_files import forget


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    for name, text in {
        "conf/a": "1", "conf/sub/b": "2", "keep/.gitkeep": "", "keep/sub/.gitignore": "*",
        "x.conf.example": "", ".git/index": "now",
    }.items():  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (tmp_path / "shared" / "data").mkdir(parents=True)
    (tmp_path / "shared" / "file").write_text("")
    return root


def kinds(source: Path, path: str) -> tuple[str, str]:
    facts = tree.read(source, source.with_name("shared"), [path])[path]
    return facts.source, facts.shared


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("conf", (DIRECTORY, ABSENT)),
        ("conf/a", (FILE, ABSENT)),
        ("keep", (EMPTY, ABSENT)),
        ("data", (ABSENT, EMPTY)),
        ("file", (ABSENT, FILE)),
        ("conf/a/below", (ABSENT, ABSENT)),
    ],
)
def test_what_is_at_a_path(source: Path, path: str, expected: tuple[str, str]) -> None:
    assert kinds(source, path) == expected


def test_directories_of_any_depth(source: Path) -> None:
    """A container can make them in shared/; such a tree is no placeholder."""
    deepest = source.with_name("shared") / "data"
    made = [deepest := deepest / "d" for _ in range(1100)]
    for directory in made:
        directory.mkdir()
    assert kinds(source, "data") == (ABSENT, DIRECTORY)
    for directory in reversed(made):
        directory.rmdir()


def test_a_large_file_is_not_read_at_once(source: Path) -> None:
    large = source / "conf/large"
    with large.open("wb") as file:
        file.truncate(200_000_000)
    tracemalloc.start()
    tree.digest_of(large, "large")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20_000_000


def test_an_example_of_a_missing_file_is_found(source: Path) -> None:
    facts = tree.read(source, source.with_name("shared"), ["x.conf"])["x.conf"]
    assert facts.examples == ("x.conf.example",)


def test_a_link_is_followed_inside_the_source_only(source: Path, tmp_path: Path) -> None:
    (source / "in").symlink_to("conf")
    (source / "out").symlink_to("/etc")
    (tmp_path / "source-other").mkdir()
    (source / "beside").symlink_to("../source-other")
    facts = tree.read(source, source.with_name("shared"), ["in", "out", "beside", "out/passwd"])
    assert {path: one.leads_out for path, one in facts.items()} == {
        "in": False, "out": True, "beside": True, "out/passwd": True,
    }  # fmt: skip
    assert facts["in"].source == DIRECTORY


def test_the_digest_is_of_names_modes_and_content(source: Path, tmp_path: Path) -> None:
    first = tree.digest_of(source / "conf", "conf")
    os.utime(source / "conf/a", (1, 1))
    assert tree.digest_of(source / "conf", "conf") == first
    seen = {first}
    for change in (
        lambda: (source / "conf/a").write_text("other"),
        lambda: (source / "conf/a").chmod(0o755),
        lambda: (source / "conf/a").rename(source / "conf/c"),
        lambda: (source / "conf/link").symlink_to("c"),
    ):
        change()
        seen.add(tree.digest_of(source / "conf", "conf"))
    assert len(seen) == 5


def test_a_checkout_of_git_changes_no_digest(source: Path) -> None:
    before = tree.read(source, source, ["."])["."].digest
    (source / ".git/index").write_text("later")
    assert tree.read(source, source, ["."])["."].digest == before
    (source / "conf/a").write_text("other")
    assert tree.read(source, source, ["."])["."].digest != before


def test_a_copy_is_kept_by_content(source: Path, tmp_path: Path) -> None:
    files = tmp_path / "files"
    (source / "conf/link").symlink_to("/etc/passwd")
    (source / "conf/a").chmod(0o640)
    tree.keep(source, "conf", "d1", files)
    tree.keep(source, "conf/a", "d2", files)
    tree.keep(source, ".", "d3", files)
    assert (files / "d1/conf/sub/b").read_text() == "2"
    assert (files / "d1/conf/link").readlink() == Path("/etc/passwd")
    assert (files / "d2/a").stat().st_mode & 0o777 == 0o640
    assert (files / "d3/source/conf/a").exists()
    assert not (files / "d3/source/.git").exists()
    assert files.stat().st_mode & 0o777 == 0o700


def test_a_copy_is_made_once_and_again_if_it_was_changed(source: Path, tmp_path: Path) -> None:
    files = tmp_path / "files"
    digest = tree.read(source, source, ["conf"])["conf"].digest
    assert not tree.keep(source, "conf", digest, files)
    copy = files / digest / "conf/a"
    kept = copy.stat().st_ino
    (files / f".{digest}.new").mkdir()
    assert not tree.keep(source, "conf", digest, files)
    assert copy.stat().st_ino == kept
    copy.write_text("by hand")
    assert tree.keep(source, "conf", digest, files)
    assert copy.read_text() == "1"
    assert [path.name for path in files.iterdir() if path.name != f".{digest}.new"] == [digest]


def test_two_links_to_a_file_have_a_copy_each(source: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (source / name).symlink_to("conf/a")
    facts = tree.read(source, source, ["one", "two", "conf/a"])
    for path, one in facts.items():
        tree.keep(source, path, one.digest, tmp_path / "files")
        assert (tmp_path / "files" / one.digest / Path(path).name).read_text() == "1"


def test_files_of_releases_that_are_removed_go(source: Path, tmp_path: Path) -> None:
    app = AppPaths(tmp_path)
    for digest in ("d1", "d2", "d3", "d5"):
        tree.keep(source, "conf/a", digest, app.files)
    (app.files / ".d4.new").mkdir()
    for id_, digest in (("1", "d1"), ("2", "d2")):
        app.release(id_).home.mkdir(parents=True)
        app.release(id_).resolved.write_text(f'"{app.files}/{digest}/a"')
    app.release("lost").home.mkdir()
    app.release("lost").runs.write_text(f'"{app.files}/d5/a"')
    assert forget(app, ["2", "without-a-model", "lost"]) == (".d4.new", "d1", "d3")
    assert sorted(path.name for path in app.files.iterdir()) == ["d2", "d5"]


def test_an_abort_ends_the_look_for_content(source: Path, tmp_path: Path) -> None:
    """A container may have made millions of directories without a file."""
    (tmp_path / "shared/data/a/b").mkdir(parents=True)
    with pytest.raises(Aborted), abortable(lambda: "ada"):
        tree.read(source, tmp_path / "shared", ["data"])


@pytest.mark.parametrize(
    ("made", "kind"),
    [("a/b/.gitkeep", EMPTY), ("a/b/file", DIRECTORY)],
)
def test_a_directory_has_content_if_a_file_in_it_is_no_placeholder(
    source: Path, tmp_path: Path, made: str, kind: str
) -> None:
    path = tmp_path / "shared/data" / made
    path.parent.mkdir(parents=True)
    path.touch()
    (tmp_path / "shared/data/empty").mkdir()
    assert tree.read(source, tmp_path / "shared", ["data"])["data"].shared == kind
