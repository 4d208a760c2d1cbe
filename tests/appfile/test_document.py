"""YAML 1.2 as Compose reads it, with line numbers; cases in which plain PyYAML differs."""

from __future__ import annotations

from typing import Any

import pytest

from gpuhost.appfile.document import OVERRIDE, RESET, BadYaml, Document, Tagged, read_all

# https://yaml.org/spec/1.2.2, "Core Schema".
TEXT = (
    *("yes", "no", "on", "off", "y", "n", "Yes", "NO", "tRUE", "22:22", "1:1", "2026-11-22"),
    *("0b11", "1_000", "0x", "0o8", "1.2.3", "=", "nan"),
)
SCALARS: dict[str, Any] = {
    **{word: word for word in TEXT},
    "true": True,
    "True": True,
    "FALSE": False,
    "": None,
    "~": None,
    "Null": None,
    "0": 0,
    "-7": -7,
    "+7": 7,
    "0755": 755,
    "0o17": 15,
    "0xfF": 255,
    "1e3": 1000.0,
    ".5": 0.5,
    "1.": 1.0,
    "-.inf": float("-inf"),
    '"true"': "true",
    "'22'": "22",
    "!!str 22": "22",
    "!!int '3'": 3,
    "!!int x": "x",
    "!reset null": Tagged(RESET, None),
    "!override 5": Tagged(OVERRIDE, 5),
    '!override "5"': Tagged(OVERRIDE, "5"),
    "!unknown yes": "yes",
    "!!timestamp 2026-11-22": "2026-11-22",
    "!<tag:x,1:y> 1": 1,
}


def read(text: str) -> Document:
    (document,) = read_all(text)
    return document


@pytest.mark.parametrize(("written", "expected"), SCALARS.items())
def test_scalars(written: str, expected: Any) -> None:
    value = read(f"key: {written}\n").value["key"]
    assert value == expected
    assert type(value) is type(expected)


DOCUMENTS: list[tuple[str, Any]] = [
    (
        "a: !reset []\nb: !override {c: 1}",
        {"a": Tagged(RESET, []), "b": Tagged(OVERRIDE, {"c": 1})},
    ),
    ("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
    ("d: {c: 3, <<: [{b: 1, c: 4}, {b: 2}]}", {"d": {"c": 3, "b": 1}}),
    ('d: {"<<": 1}', {"d": {"<<": 1}}),
    ("a: &x 1\nb: &x 2\nc: *x", {"a": 1, "b": 2, "c": 2}),
    ("1: a\ntrue: b\n~: c", {"1": "a", "true": "b", "~": "c"}),
    ("%YAML 1.2\n---\na: 1\n...\n", {"a": 1}),
    ("\ufeffa: 1", {"a": 1}),
    ("a: |\n  $$x\n  #y\n", {"a": "$$x\n#y\n"}),
]


@pytest.mark.parametrize(("text", "expected"), DOCUMENTS)
def test_documents(text: str, expected: Any) -> None:
    assert read(text).value == expected


# Read by Compose 2.26 and 2.40 alike.
TABS: list[tuple[str, Any]] = [
    ("a:\tb\t# c", {"a": "b"}),
    ("a: b\tc", {"a": "b\tc"}),
    ("a: {b:\t1,\tc: 2}", {"a": {"b": 1, "c": 2}}),
    ("a: x \t # y\nb: 1", {"a": "x", "b": 1}),
    ("a:\t[1,\n\t2]", {"a": [1, 2]}),
]


@pytest.mark.parametrize(("text", "expected"), TABS)
def test_tabs_between_tokens(text: str, expected: Any) -> None:
    assert read(text).value == expected


@pytest.mark.parametrize("text", ["a:\n- \t- b", "a:\n\tb: 1", "a: 1\n\t\nb: 2"])
def test_a_tab_is_no_indentation(text: str) -> None:
    with pytest.raises(BadYaml, match="cannot start any token"):
        read(text)


def test_several_documents() -> None:
    documents = read_all("---\na: 1\n---\n# nothing\n---\nb:\n  c: 2\n...\n")
    assert [document.value for document in documents] == [{"a": 1}, None, {"b": {"c": 2}}]
    assert documents[2].line(("b", "c")) == 7
    assert read_all("") == []


BAD: list[tuple[str, int, str]] = [
    ("a: 1\nb: 2\na: 3", 3, "a is given twice, first in line 1"),
    ("s:\n  x: {k: 1,\n   k: 2}", 3, "s.x.k is given twice, first in line 2"),
    ("80: 1\n'80': 2", 2, "80 is given twice"),
    ("- [{a: 1, a: 2}]", 1, "0.0.a is given twice"),
    ("a: {<<: {b: 1}, <<: {c: 1}}", 1, "a.<< is given twice"),
    ("a: {<<: 1}", 1, "<< must be a mapping"),
    ("a: {<<: [1]}", 1, "<< must be a mapping"),
    ("? [a]\n: b", 1, "a key must not be a list or a mapping"),
    ("a: &x [*x]", 1, "an alias that contains itself"),
    ("a: &x {<<: *x}", 1, "an alias that contains itself"),
    ("a: 1\n b: 2", 2, "not YAML: mapping values are not allowed"),
    ("a: [1", 1, "not YAML: while parsing a flow sequence"),
    ("a: *base", 1, "not YAML: found undefined alias '…'"),
    ("a: 1\nb: \x00", 2, "a control character"),
    ('a: "\\ud800"', 1, "an escape in double quotes is not a character"),
    ('a: "\\UFFFFFFFF"', 0, "not YAML: an escape in double quotes is not a character"),
    ("[" * 3000, 0, "nested too deeply"),
]


@pytest.mark.parametrize(("text", "line", "said"), BAD, ids=[said for *_, said in BAD])
def test_invalid_documents(text: str, line: int, said: str) -> None:
    with pytest.raises(BadYaml) as error:
        read(text)
    assert error.value.message.startswith(said)
    assert error.value.line == line


@pytest.mark.parametrize(
    "text", ["a: 1\nb: !!binary aGk=\n", "a: 1\n!!binary aGk=: 1\n",
             "a: 1\nb: [!<tag:yaml.org,2002:binary> aGk=]\n"]
)  # fmt: skip
def test_encoded_text_which_compose_decodes_is_refused(text: str) -> None:
    with pytest.raises(BadYaml, match="!!binary: write the text itself") as error:
        read(text)
    assert error.value.line == 2


def test_aliases_that_expand_to_millions_of_values() -> None:
    levels = [
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 9)
    ]
    with pytest.raises(BadYaml) as error:
        read("\n".join(["a0: &a0 [1, 2]", *levels]))
    assert "with aliases expanded" in error.value.message


def test_a_number_with_thousands_of_digits_is_text() -> None:
    assert read("a: " + "9" * 10_000).value == {"a": "9" * 10_000}


def test_lines() -> None:
    text = "a: &a\n  b:\n    - 1\n    - c: 2\nd:\n  <<: *a\n  e: 3\n"
    document = read(text)
    places = {("a",): 1, ("a", "b"): 2, ("a", "b", 0): 3, ("a", "b", 1, "c"): 4, ("d", "e"): 7}
    assert {place: document.line(place) for place in places} == places
    # A merged key has the line of its source; a missing key has the line of its parent.
    assert document.line(("d", "b", 1, "c")) == 4
    assert document.line(("d", "x", "y")) == 5
    assert document.line(("nothing",)) == 1
