"""The cases of Docker's documentation, and those in which .gitignore would decide otherwise."""

from __future__ import annotations

import pytest

from gpuhost.release.dockerignore import DockerIgnore

# The file, what it leaves out, and what stays.
CASES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "nothing": ("", (), ("a", "a/b")),
    "comments and empty lines": ("# a\n\n   \n#!b\n", (), ("a", "b", "# a")),
    "a comment begins in the first column": (" #a", ("#a",), ("a",)),
    "a name": ("a", ("a", "a/b", "a/b/c"), ("b", "b/a", "ab")),
    "one level below": ("*/temp*", ("dir/temporary.txt", "dir/temp"), ("temp", "a/b/temp")),
    "two levels below": ("*/*/temp*", ("a/b/temporary.txt",), ("a/temp", "temp")),
    "one character": ("temp?", ("tempa", "tempb"), ("temp", "tempab", "a/tempa")),
    "every directory": ("**/*.go", ("a.go", "a/b.go", "a/b/c.go"), ("a.gone", "go")),
    "every directory's own": ("**/foo", ("foo", "a/foo", "a/b/foo/bar"), ("afoo", "a/foot")),
    "all of a directory": ("foo/**", ("foo/a", "foo/a/b"), ("foo", "foot/a")),
    "between": ("a/**/z", ("a/z", "a/b/z", "a/b/c/z"), ("z", "az", "b/a/z")),
    "a slash in front": ("/foo", ("foo", "foo/a"), ("a/foo",)),
    "a slash behind": ("foo/", ("foo", "foo/a"), ("a/foo",)),
    "cleaned": ("./a//b/../c", ("a/c",), ("a/b", "a/b/c")),
    "blanks around": ("  a  ", ("a",), ("  a  ",)),
    "an exception": ("*.md\n!README.md", ("a.md", "OTHER.md"), ("README.md", "a.txt")),
    "the last line decides": (
        "*.md\n!README*.md\nREADME-secret.md",
        ("a.md", "README-secret.md"),
        ("README.md", "README-1.md"),
    ),
    "an exception that comes too early": (
        "*.md\nREADME-secret.md\n!README*.md",
        ("a.md",),
        ("README-secret.md", "README.md"),
    ),
    "an exception inside what is ignored": ("a\n!a/b", ("a", "a/c"), ("a/b", "a/b/c")),
    "everything but": ("*\n!src", ("a", "b/c"), ("src", "src/a/b")),
    "everything but, deep": ("**\n!src/**/*.py", ("a", "src/a.txt"), ("src/a.py", "src/b/c.py")),
    "a blank after the mark": ("*\n! a", ("b",), ("a",)),
    "a class": ("[a-c].txt", ("a.txt", "c.txt"), ("d.txt", "aa.txt")),
    "not a class": ("[^a].txt", ("b.txt",), ("a.txt", "/.txt")),
    "no slash in a class": ("a[^x]b", ("a.b",), ("a/b",)),
    "a backslash": ("\\*", ("*",), ("a",)),
    "an open class": ("[a", ("[a",), ("a",)),
    "a range backwards": ("[z-a]", ("[z-a]",), ("z",)),
    "what a regular expression would take": ("a.b+(c)", ("a.b+(c)",), ("axb+(c)", "a.bb(c)")),
    "a byte order mark": ("\ufeffa", ("a",), ("b",)),
    "Windows": ("a\r\nb\r\n", ("a", "b"), ("c",)),
    "case matters": ("A", ("A",), ("a",)),
    "the root itself is no pattern": (".\n/\n", (), ("a",)),
    "unicode": ("ä*", ("äö",), ("aö",)),
}


@pytest.mark.parametrize("name", CASES)
def test_as_docker(name: str) -> None:
    text, ignored, kept = CASES[name]
    rules = DockerIgnore.parse(text)
    assert [path for path in (*ignored, *kept) if rules.ignores(path)] == list(ignored)
