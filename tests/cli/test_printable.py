"""The one place that makes words and numbers of a host safe, and what pyinfra prints."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyinfra import logger

from gpuhost.domain import host_json
from gpuhost.domain.plain_text import MAX_TEXT, cut, plain, safe
from gpuhost.outputs.json_text import json_text
from gpuhost.remote.printable_log import print_only_printable, printable

# What it is, and what is shown: terminals act on some, readers do not see the others.
UNSAFE = {
    "\x1b[2J": "?[2J",
    "\x1b]8;;http://evil.example\x1b\\link": "?]8;;http://evil.example?\\link",
    "\x9b31m": "?31m",
    "\x85\x90\x9d": " ??",
    "gnp\u202egpj.exe": "gnp?gpj.exe",
    "\u2066a\u2069": "?a?",
    "a\u3164b\u115fc\u2800d\u034fe\U000e0100f": "a?b?c?d?e?f",
    "\u26a0\ufe0f": "\u26a0\ufe0f",
    "a\u200bb\u200cc\u2060d\ufeffe": "a?b?c?d?e",
    "\U000e0041": "?",
    "\ud800": "?",
    "a\tb\x0bc\x0cd\u2028e\u00a0f\u3000g": "a b c d e f g",
    "a\r\nb\rc\nd": "a\nb?c\nd",
    "\x00\x07\x08\x7f": "????",
    "grün 显卡 \U0001f600": "grün 显卡 \U0001f600",
}


@pytest.mark.parametrize("text", UNSAFE)
def test_characters(text: str) -> None:
    assert plain(text) == UNSAFE[text]


@given(st.text())
def test_any_text_is_printable(text: str) -> None:
    assert all(c.isprintable() or c == "\n" for c in plain(text))


def test_a_long_text_says_how_much_is_missing() -> None:
    assert cut("x" * MAX_TEXT) == "x" * MAX_TEXT
    assert cut("x" * (MAX_TEXT + 7)).endswith("x… (7 more characters)")


class Word(str, Enum):
    ONE = "one"


class Text(str):
    """As a library may return it."""


@dataclass(frozen=True)
class Inner:
    name: str
    number: float = 1.0


@dataclass(frozen=True)
class Outer:
    inner: Inner
    parts: tuple[Inner, ...]
    by_name: dict[str, Any]


def test_values_of_every_kind() -> None:
    bad = "\x1b"
    value = Outer(
        Inner(bad, float("inf")), (Inner("a"), Inner(bad)), {bad: [bad, {bad}, Text(bad)]}
    )
    safe_value = safe(value)
    assert safe_value == Outer(Inner("?", 0.0), (Inner("a"), Inner("?")), {"?": ["?", {"?"}, "?"]})
    assert safe((10**40, -(10**40), True, None, Word.ONE)) == (
        2**63 - 1, 1 - 2**63, True, None, Word.ONE,
    )  # fmt: skip
    same = Inner("a")
    assert safe(same) is same
    assert safe(PurePath("/a")) == PurePath("/a")


BAD_JSON = {
    "NaN": "NaN is no number",
    "[-Infinity]": "-Infinity is no number",
    "1e400": "a number is too large: 1e400",
    "-1e999": "a number is too large",
    "9" * 101: "a number is too large: 99999999999999999999…",
    "[" * 100_000: "nested too deeply",
    '{"a":' * 100_000: "nested too deeply",
    "{": "Expecting property name",
    "": "Expecting value",
}


@pytest.mark.parametrize("text", BAD_JSON, ids=lambda text: text[:10])
def test_json_that_no_host_has(text: str) -> None:
    with pytest.raises(ValueError, match=BAD_JSON[text]):
        host_json.parse(text)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text()
        | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_other_json_is_read(value: Any) -> None:
    assert host_json.parse(json.dumps(value)) == value


def test_what_pyinfra_prints(caplog: pytest.LogCaptureFixture) -> None:
    """Its colours stay; nothing that a host sent controls the terminal."""
    filters = list(logger.filters)
    logger.filters.clear()
    try:
        print_only_printable()
        print_only_printable()
        assert len(logger.filters) == 1
        record = logger.makeRecord(
            logger.name,
            logging.ERROR,
            "",
            0,
            "[\x1b[1mgpu1\x1b[0m] %s",
            ("\x1b]0;x\x07\x1b[8mb",),
            None,
        )
        assert logger.filter(record)
        assert record.getMessage() == "[\x1b[1mgpu1\x1b[0m] ?]0;x??[8mb"
    finally:
        logger.filters[:] = filters
    assert printable("\x1b[31mred\x1b[0m \x1b[5mblink 100%") == "\x1b[31mred\x1b[0m ?[5mblink 100%"


leaves = st.none() | st.booleans() | st.text() | st.integers()


@given(
    st.recursive(
        leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12
    )
)
def test_json_text_is_the_same_document(value: Any) -> None:
    assert json.loads(json_text(value)) == value


TEXT = """\
{
  "schema": 1,
  "hosts": [
    {
      "host": "gpu1",
      "findings": [
        {"id": "swap.size", "status": "ok"},
        {"id": "swap.size", "status": "ok"}
      ]
    }
  ],
  "none": []
}"""


def test_a_finding_is_one_line_of_json() -> None:
    finding = {"id": "swap.size", "status": "ok"}
    host = {"host": "gpu1", "findings": [finding, finding]}
    assert json_text({"schema": 1, "hosts": [host], "none": []}) == TEXT
