"""A secret is masked in every spelling in which a program may print it, and other text is kept."""

from __future__ import annotations

import base64
import html
import json
import shlex
from collections.abc import Callable
from html.entities import codepoint2name
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.runner.contract import LEAST_MASKED, Masking

Spelling = Callable[[str], str]
SPELLINGS: dict[str, Spelling] = {
    "as it is": str,
    "percent": lambda value: quote(value, safe=""),
    "percent, small letters": lambda value: "".join(
        c if c.isalnum() and c.isascii() else "".join(f"%{byte:02x}" for byte in c.encode())
        for c in value
    ),
    "percent, a path's": quote,
    "percent, a user's of Go": lambda value: quote(value, safe="$&+,;=-_.~"),
    "percent, twice": lambda value: quote(quote(value, safe=""), safe=""),
    "form": quote_plus,
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64 of a URL": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    "base64 without padding": lambda value: (
        base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")
    ),
    "hexadecimal": lambda value: value.encode().hex(),
    "hexadecimal, capitals": lambda value: value.encode().hex().upper(),
    "shell": shlex.quote,
    "shell, escaped": lambda value: "".join(c if c.isalnum() else f"\\{c}" for c in value),
    "JSON": json.dumps,
    "JSON, no ASCII": lambda value: json.dumps(value, ensure_ascii=False),
    "JSON in JSON": lambda value: json.dumps(json.dumps(value)),
    "Python": repr,
    "Python, ASCII": ascii,
    "HTML": html.escape,
    "XML": lambda value: escape(value, {"'": "&apos;", '"': "&quot;"}),
    "HTML, names": lambda value: "".join(
        f"&{codepoint2name[ord(c)]};" if ord(c) in codepoint2name else c for c in value
    ),
    "Rust": lambda value: "".join(
        c if c.isalnum() and c.isascii() else f"\\u{{{ord(c):x}}}" for c in value
    ),
    "SQL": lambda value: value.replace("'", "''"),
    "CSV": lambda value: value.replace('"', '""'),
    "Compose": lambda value: value.replace("$", "$$"),
    "systemd": lambda value: value.replace("%", "%%"),
    "every character, percent": lambda value: "".join(f"%{b:02X}" for b in value.encode()),
    "every character, JSON": lambda value: "".join(
        f"\\u{int.from_bytes(unit, 'big'):04x}"
        for unit in zip(*[iter(value.encode("utf-16-be"))] * 2, strict=True)
    ),
    "every character, HTML": lambda value: "".join(f"&#{ord(c)};" for c in value),
    "base64 in a URL": lambda value: quote(base64.b64encode(value.encode()).decode(), safe=""),
    "base64 in PHP's JSON": lambda value: (
        base64.b64encode(value.encode()).decode().replace("/", "\\/")
    ),
}
# What may stay: quotes, and characters of base64 that only its padding and last bits decide.
LEFT = "\"'\\="


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize(
    "value",
    ["pa$s word", "a'b\"c\\d/e@f:g", "密码-pässwörd!", "0123456789abcdef0123456789abcdef",
     "x" * 200, "50%+off&more=1", "p@ss#w?rd", "\\\\server\\share", "😀smile"],
)  # fmt: skip
def test_every_spelling_is_masked(value: str, spell: Spelling) -> None:
    masked = Masking([value])(f"url=https://me:{spell(value)} end")
    assert masked.startswith("url=https://me:") and masked.endswith(" end")
    middle = masked.removeprefix("url=https://me:").removesuffix(" end")
    assert middle.strip(LEFT).replace("***", "") == ""


@pytest.mark.parametrize("before", ["", "u:", "us:", "user:"])
@pytest.mark.parametrize("after", ["", "x", "xy", "xyz"])
def test_in_base64_of_a_longer_text_too_little_stays_to_know_it(before: str, after: str) -> None:
    text = base64.b64encode(f"{before}s3cret-value{after}".encode()).decode()
    masked = Masking(["s3cret-value"])(text)
    assert "***" in masked
    start, _, end = masked.partition("***")
    # A character or two beside the mask have bits of one byte of the value.
    known = base64.b64decode(start + "A" * (-len(start) % 4))
    assert known[: len(before)] == before.encode()[: len(known)]
    assert len(known) - len(before) <= 2 and len(end) <= len(after) * 4 // 3 + 4


def test_long_values_are_masked_where_base64_breaks_lines() -> None:
    value = "-----BEGIN KEY-----" + "Qm9keU9mVGhlS2V5" * 20
    lines = base64.encodebytes(value.encode()).decode().splitlines()
    assert len(lines) > 5
    assert {Masking([value])(line).replace("***", "").strip("=") for line in lines} == {""}


def test_each_line_of_a_value_and_the_whole_in_one_line() -> None:
    masking = Masking(["first-line\r\nsecond-line\n"])
    assert masking("a first-line\nb second-line") == "a ***\nb ***"
    assert masking(json.dumps("first-line\r\nsecond-line\n")) == '"***"'


@pytest.mark.parametrize("before", range(40, 80))
def test_base64_of_a_longer_text_that_breaks_lines_at_any_column(before: int) -> None:
    value = "s3cret-value/of+19?"
    whole = f"{'x' * before}{value}{'y' * 30}".encode()
    lines = base64.encodebytes(whole).decode()
    for text in (lines, lines.replace("\n", "\\n"), lines.replace("\n", "\r\n")):
        masked = Masking([value])(f'"{text}"')
        left = {value[at : at + 4] for at in range(len(value) - 3)}
        for piece in masked.replace("\\n", "\n").strip('"').split():
            for part in piece.split("***"):
                for shift in range(4):
                    whole_quads = part.rstrip("=")[shift:]
                    known = base64.b64decode(whole_quads[: len(whole_quads) // 4 * 4])
                    assert not any(one.encode() in known for one in left), masked


def test_a_colour_within_a_secret() -> None:
    masking = Masking(["s3cret-value"])
    assert masking("\x1b[1mis \x1b[31ms3cret\x1b[0m-va\x1b[Klue\x1b[m") == "is ***"
    assert masking("\x1b[1mother\x1b[m") == "\x1b[1mother\x1b[m"


def test_secrets_that_overlap_leave_nothing() -> None:
    assert Masking(["abcd1234", "1234efgh"])("(abcd1234efgh)") == "(***)"
    assert Masking(["secret-s"])("(secret-secret-s)") == "(***)"
    assert Masking(["abcd1234", "1234efgh"])("abcd1234 1234efgh") == "*** ***"


HOSTILE = {
    "backslashes": "\\" * 24,
    "percent signs": "%" * 24,
    "quotes": "'" * 24,
    "quotes of both kinds": "'\"" * 12,
    "dollars": "$" * 24,
    "quoted quotes": "\\'" * 12,
    "quoted blanks": "\\ " * 12,
    "bytes and numbers": "-" * 40,
    "all": "\"'\\%$" * 6,
    "encoded": "%25" * 8,
    "escaped": "\\x5c" * 8,
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_no_text_is_slow(value: str) -> None:
    """Exponential would be never, and quadratic minutes, of the whole test run."""
    masking = Masking([f"a{value}b", value])
    for unit in (
        "\\",
        "%",
        "'",
        '"',
        "$",
        "%25",
        "\\ ",
        "\\'",
        "&#0000",
        "\\u00",
        "A",
        "\\x2d",
        "\\u002d",
        "\\U0000002d",
        "&#x27;",
        "&apos;",
        "\\u{2d}",
        "\x1b[1m",
        value,
    ):
        text = unit * (5_000 // len(unit))
        masking(f"{text} a{text}c 0x ab")
    assert masking(f"a{value}b") == "***"


def test_a_value_that_contains_another_is_masked_as_a_whole() -> None:
    assert Masking(["token", "token-and-more"])("token-and-more, token") == "***, ***"


@pytest.mark.parametrize(
    "text",
    ["password", "pas", "Get:12 bookworm/main amd64 libssl3 3.0.15", "c2VjcmV", "%24%24", "$$"],
)
def test_other_text_stays(text: str) -> None:
    assert Masking(["pa$s word", "s3cret-value", "no!"])(text) == text


def test_short_values_are_not_masked() -> None:
    short = "x" * (LEAST_MASKED - 1)
    assert Masking([short, ""])(f"{short} stays") == f"{short} stays"
    assert Masking(["é1=z"])("%C3%A91%3Dz") == "***"


VALUES = st.text(st.characters(exclude_categories=["Cs"]), min_size=LEAST_MASKED, max_size=60)


@given(VALUES, st.sampled_from(sorted(SPELLINGS)))
def test_any_value_in_any_spelling(value: str, spelling: str) -> None:
    parts = value.splitlines()
    if any(len(part.strip(" ")) < LEAST_MASKED for part in parts):
        return
    assert "***" in Masking([value])(SPELLINGS[spelling](value))
