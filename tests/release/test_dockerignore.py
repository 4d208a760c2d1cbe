"""Examples of Docker's documentation, and cases in which .dockerignore differs from .gitignore."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.release.dockerignore import MOST_RULES, DockerIgnore, ManyStars, TooManyRules
from tests.cpu_budget import cpu_budget

# The file, paths that it ignores, and paths that it keeps.
CASES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "an empty file": ("", (), ("a", "a/b")),
    "comments and empty lines": ("# a\n\n   \n#!b\n", (), ("a", "b", "# a")),
    "a comment starts in the first column": (" #a", ("#a",), ("a",)),
    "a name": ("a", ("a", "a/b", "a/b/c"), ("b", "b/a", "ab")),
    "one level below": ("*/temp*", ("dir/temporary.txt", "dir/temp"), ("temp", "a/b/temp")),
    "two levels below": ("*/*/temp*", ("a/b/temporary.txt",), ("a/temp", "temp")),
    "one character": ("temp?", ("tempa", "tempb"), ("temp", "tempab", "a/tempa")),
    "in every directory": ("**/*.go", ("a.go", "a/b.go", "a/b/c.go"), ("a.gone", "go")),
    "a name in every directory": ("**/foo", ("foo", "a/foo", "a/b/foo/bar"), ("afoo", "a/foot")),
    "everything in a directory": ("foo/**", ("foo/a", "foo/a/b"), ("foo", "foot/a")),
    "any number of directories between": (
        "a/**/z",
        ("a/z", "a/b/z", "a/b/c/z"),
        ("z", "az", "b/a/z"),
    ),
    "a leading slash": ("/foo", ("foo", "foo/a"), ("a/foo",)),
    "a trailing slash": ("foo/", ("foo", "foo/a"), ("a/foo",)),
    "a path with . and ..": ("./a//b/../c", ("a/c",), ("a/b", "a/b/c")),
    "surrounding blanks": ("  a  ", ("a",), ("  a  ",)),
    "an exception": ("*.md\n!README.md", ("a.md", "OTHER.md"), ("README.md", "a.txt")),
    "the last matching line wins": (
        "*.md\n!README*.md\nREADME-secret.md",
        ("a.md", "README-secret.md"),
        ("README.md", "README-1.md"),
    ),
    "an exception that comes too early": (
        "*.md\nREADME-secret.md\n!README*.md",
        ("a.md",),
        ("README-secret.md", "README.md"),
    ),
    "an exception inside an ignored directory": ("a\n!a/b", ("a", "a/c"), ("a/b", "a/b/c")),
    "everything except": ("*\n!src", ("a", "b/c"), ("src", "src/a/b")),
    "everything except, with a deep pattern": (
        "**\n!src/**/*.py",
        ("a", "src/a.txt"),
        ("src/a.py", "src/b/c.py"),
    ),
    "a blank after the exclamation mark": ("*\n! a", ("b",), ("a",)),
    "a character class": ("[a-c].txt", ("a.txt", "c.txt"), ("d.txt", "aa.txt")),
    "a negated character class": ("[^a].txt", ("b.txt",), ("a.txt", "/.txt")),
    "a character class does not match a slash": ("a[^x]b", ("a.b",), ("a/b",)),
    "an escaped character": ("\\*", ("*",), ("a",)),
    "an unclosed character class": ("[a", ("[a",), ("a",)),
    "a reversed range": ("[z-a]", ("[z-a]",), ("z",)),
    "special characters of regular expressions": ("a.b+(c)", ("a.b+(c)",), ("axb+(c)", "a.bb(c)")),
    "a byte order mark": ("\ufeffa", ("a",), ("b",)),
    "Windows line endings": ("a\r\nb\r\n", ("a", "b"), ("c",)),
    "case matters": ("A", ("A",), ("a",)),
    "the root itself is not a pattern": (".\n/\n", (), ("a",)),
    "unicode": ("ä*", ("äö",), ("aö",)),
}


@pytest.mark.parametrize("name", CASES)
def test_rules_are_those_of_docker(name: str) -> None:
    text, ignored, kept = CASES[name]
    rules = DockerIgnore.parse(text)
    assert [path for path in (*ignored, *kept) if rules.ignores(path)] == list(ignored)


TOKENS = st.lists(st.sampled_from(["a", "b", "/", "[^/]", ".*", "[^/]*", "(?:.*/)?"]), max_size=8)


@given(TOKENS, st.text("ab/", max_size=12))
def test_many_stars_match_as_a_regular_expression_does(tokens: list[str], path: str) -> None:
    expected = re.compile("".join(tokens), re.DOTALL).fullmatch(path) is not None
    assert ManyStars(tokens).fullmatch(path) == expected


@pytest.mark.parametrize("pattern", ["**/" * 30 + "b", "**/a/" * 20 + "b", "*a" * 20 + "b"])
def test_many_stars_take_no_longer_than_the_path(pattern: str) -> None:
    with cpu_budget():
        ignore = DockerIgnore.parse(pattern)
        assert not ignore.ignores("a/" * 100 + "c")
        assert not ignore.ignores("a" * 250)


def test_a_file_has_a_largest_number_of_rules() -> None:
    DockerIgnore.parse("a\n" * MOST_RULES)
    with pytest.raises(TooManyRules):
        DockerIgnore.parse("a\n" * (MOST_RULES + 1))


@pytest.mark.parametrize("text", ["a*" * 100 + "b\n", "!**/a*/**/b*c\n"])
def test_patterns_with_many_stars_are_bounded_together(text: str) -> None:
    """Each takes a time that grows with its length, for each character of each path."""
    assert DockerIgnore.parse(text * 3).rules
    with cpu_budget(), pytest.raises(TooManyRules, match="characters in patterns with more than 2"):
        DockerIgnore.parse(text * 1000)
