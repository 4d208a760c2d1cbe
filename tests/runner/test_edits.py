"""Edits of a source: each anchor occurs exactly once, or nothing is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuhost.runner.data.edits import apply_edits
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import Log
from gpuhost.runner.plan import Edit, Source
from gpuhost.runner.stages import source
from tests.runner.archives import a_file, write_archive
from tests.runner.host_fixtures import App, app

__all__ = ["app"]

HEALTH = "def health():\n    db.execute('SELECT 1')\n"


def edit(find: str, replace: str, file: str = "app.py", reason: str = "upstream's fault") -> Edit:
    return Edit(file, find, replace, reason)


def applied(directory: Path, *edits: Edit) -> None:
    apply_edits(edits, directory, Log(directory / "log"))


def refused(directory: Path, *edits: Edit) -> Failure:
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    with pytest.raises(Failure) as failure:
        applied(directory, *edits)
    assert {path: path.read_bytes() for path in before} == before
    return failure.value


@pytest.mark.parametrize(
    ("text", "find", "replace", "expected"),
    [
        (
            HEALTH,
            "'SELECT 1'",
            "text('SELECT 1')",
            "def health():\n    db.execute(text('SELECT 1'))\n",
        ),
        # Several lines, without the last line end of the file.
        ("a\nb\nc", "b\nc", "x", "a\nx"),
        ("a\n\nb\n", "a\n\nb\n", "", ""),
        # Line ends are kept, and new lines end as those around them.
        ("a\r\nb\r\nc\r\n", "a\nb\n", "x\ny\nz\n", "x\r\ny\r\nz\r\nc\r\n"),
        ("a\r\nb\r\n", "a", "x\ny", "x\r\ny\r\nb\r\n"),
        ("a\r\nb", "b", "x\ny", "a\r\nx\r\ny"),
        ("a\r\nb\nc\r\n", "b", "x\ny", "a\r\nx\ny\nc\r\n"),
        ("a\nb\n", "a\r\nb", "x\r\ny", "x\ny\n"),
        ("a\r\nb\r\n", "\nb", "", "a\r\n"),
        ("one line", "one", "x\ny", "x\ny line"),
        # Nothing in them is an expression.
        ("(a|b)* \\1 ${x}\n", "(a|b)* \\1", "\\g<0> \\n", "\\g<0> \\n ${x}\n"),
        ("\ufeffgrüße 你好\n", "你好", "世界", "\ufeffgrüße 世界\n"),
    ],
)
def test_replaced(tmp_path: Path, text: str, find: str, replace: str, expected: str) -> None:
    (tmp_path / "app.py").write_bytes(text.encode())
    applied(tmp_path, edit(find, replace))
    assert (tmp_path / "app.py").read_bytes().decode() == expected


@pytest.mark.parametrize(
    ("text", "find", "said"),
    [
        (HEALTH, "SELECT 2", "its anchor does not occur in app.py"),
        ("a\nb\na\nc\na\n", "a", "its anchor occurs 3 times in app.py"),
        ("aaa", "aa", "its anchor occurs 2 times in app.py"),
        ("a  b", "a b", "its anchor does not occur in app.py"),
        ("A", "a", "its anchor does not occur in app.py"),
        ("a.b", "a?b", "its anchor does not occur in app.py"),
        ("a\rb", "a\nb", "its anchor does not occur in app.py"),
    ],
)
def test_an_anchor_that_does_not_occur_once(
    tmp_path: Path, text: str, find: str, said: str
) -> None:
    (tmp_path / "app.py").write_bytes(text.encode())
    failure = refused(tmp_path, edit(find, "x"))
    assert failure.said == f"x-gpuhost.source.edits[0] (upstream's fault): {said}"
    assert failure.output == ("edits[0].find:", find.splitlines()[0], *find.splitlines()[1:])
    assert "still needed at this revision" in failure.fix


def test_files_that_cannot_be_edited(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("a\n")
    (tmp_path / "lib").mkdir()
    (tmp_path / "link.py").symlink_to("app.py")
    (tmp_path / "there").symlink_to("lib")
    (tmp_path / "logo.png").write_bytes(b"a\xff\xfe")
    outside = tmp_path.parent / "outside.py"
    outside.write_text("a")
    said = {
        "gone.py": "gone.py is not in the source",
        "app.py/x": "app.py/x is not in the source",
        "lib": "lib is not a file",
        "link.py": "link.py goes through a link of the source, link.py -> app.py",
        "there/x.py": "there/x.py goes through a link of the source, there -> lib",
        "logo.png": "logo.png is not UTF-8 text",
        "../outside.py": "../outside.py is not a path in the source",
        str(outside): f"{outside} is not a path in the source",
    }
    failure = refused(tmp_path, *(edit("a", "b", file) for file in said))
    assert failure.said.split("; ") == [
        f"x-gpuhost.source.edits[{number}] (upstream's fault): {words}"
        for number, words in enumerate(said.values())
    ]
    assert outside.read_text() == "a"


def test_edits_of_one_file_follow_each_other(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("a b\n")
    (tmp_path / "app.py").chmod(0o755)
    (tmp_path / "same.py").hardlink_to(tmp_path / "app.py")
    applied(tmp_path, edit("a", "c", "./app.py"), edit("c b", "d", reason="needs the first"))
    assert (tmp_path / "app.py").read_text() == "d\n"
    assert (tmp_path / "same.py").read_text() == "a b\n"
    assert (tmp_path / "app.py").stat().st_mode & 0o777 == 0o755
    log = (tmp_path / "log").read_text()
    assert "edited ./app.py: upstream's fault" in log
    assert "edited app.py: needs the first" in log


def test_one_edit_that_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("a\n")
    (tmp_path / "b.py").write_text("b b\n")
    failure = refused(tmp_path, edit("a", "c"), edit("b", "c", "b.py", "twice"))
    assert failure.said == "x-gpuhost.source.edits[1] (twice): its anchor occurs 2 times in b.py"


def test_a_release_ends_in_its_source(app: App) -> None:
    """After the overlay, and before the source is in place."""
    edits = (edit("ours", "edited", "new.py"), edit("gone", "x", reason="a health route"))
    release = app.release(source=Source("archive", "r", overlay="h", edits=edits))
    write_archive(release.paths.archive, a_file("app.py", "upstream"))
    write_archive(release.paths.overlay, a_file("new.py", "ours"))
    with pytest.raises(Failure, match=r"edits\[1\] \(a health route\): its anchor does not occur"):
        source.fetch(release)
    assert not release.paths.source.exists()
    write_archive(release.paths.archive, a_file("app.py", "gone"))
    source.fetch(release)
    assert (release.paths.source / "new.py").read_text() == "edited"
    assert (release.paths.source / "app.py").read_text() == "x"
