"""daemon.json as text: what real engines made of it (20.10.24 and 26.1.5, `dockerd --validate`)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.domain.docker.daemon_file import DaemonFile, major_version, parse
from gpuhost.domain.docker.daemon_json import render

READ: dict[str, tuple[str | None, dict[str, Any]]] = {
    "no file": (None, {}),
    "an object": ('{"debug": true}', {"debug": True}),
    "null": (" null\n", {}),
    "a key twice": ('{"mtu": 1, "mtu": 2}', {"mtu": 2}),
    "an object twice": (
        '{"log-opts": {"max-size": "1m", "tag": "a"}, "log-opts": {"tag": "b"}}',
        {"log-opts": {"max-size": "1m", "tag": "b"}},
    ),
    "half of a character": ('{"labels": ["a=\\ud800"]}', {"labels": ["a=\ud800"]}),
}  # fmt: skip
REFUSED = {
    "nothing but a brace": "{",
    "a comma too many": '{"debug": true,}',
    "a comment": '{"debug": true} // why',
    "a second object": '{"debug": true}\n{"debug": false}',
    "a list": "[]",
    "a string": '"debug"',
    "a number": "1",
    "false": "false",
    "no number": '{"mtu": NaN}',
    "minus infinity": '{"mtu": -Infinity}',
    "a number out of range": '{"mtu": 1e400}',
    "single quotes": "{'debug': true}",
    "a line break in a string": '{"data-root": "a\nb"}',
    "too deep": '{"a": ' * 100_000,
    "too long a number": f'{{"mtu": {"9" * 5000}}}',
    "bytes that are not UTF-8": '{"labels": ["a=\ufffd"]}',
    "UTF-16": '\ufffd\ufffd{\0"\0d\0"\0',
}
# By engine: None if it is not known.
LENIENT: dict[str, tuple[str, dict[str, Any]]] = {
    "a byte order mark": ('\ufeff{"debug": true}', {"debug": True}),
    "only a byte order mark": ("\ufeff", {}),
    "an empty file": ("", {}),
    "a line break": ("\n", {}),
    "blanks": ("  \n\n", {}),
}


@pytest.mark.parametrize("major", [None, 20, 26])
@pytest.mark.parametrize("name", READ)
def test_what_every_engine_reads(name: str, major: int | None) -> None:
    text, values = READ[name]
    assert parse(text, major) == DaemonFile(values)


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_engine_reads(name: str) -> None:
    file = parse(REFUSED[name], 26)
    assert file.values is None
    assert "not a JSON object" in file.fault


@pytest.mark.parametrize("name", LENIENT)
def test_what_only_newer_engines_read(name: str) -> None:
    text, values = LENIENT[name]
    assert parse(text, 26) == parse(text) == parse(text, 23) == DaemonFile(values)
    older = parse(text, 20)
    assert older.values == values, "the settings are known, so the file can be written again"
    assert "Docker 20" in older.fault


@given(st.text(), st.sampled_from([None, 20, 26]))
def test_any_text_is_read_or_refused(text: str, major: int | None) -> None:
    file = parse(text, major)
    if file.values is None:
        assert file.fault
    else:
        assert parse(render(file.values), 20) == DaemonFile(file.values)
        render(file.values).encode()


@pytest.mark.parametrize(
    ("version", "major"),
    [
        ("26.1.5", 26),
        ("26.1.5+dfsg1", 26),
        ("5:29.0.1-1~debian.13~trixie", 29),
        ("20.10.24+dfsg1-1+deb12u1+b2", 20),
        ("v28.2.2", 28),
        ("", None),
        ("dev", None),
    ],
)
def test_major_versions_of_engines_and_packages(version: str, major: int | None) -> None:
    assert major_version(version) == major
