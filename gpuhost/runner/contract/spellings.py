"""Regular expressions for the spellings in which programs print a text.

A character is matched in any of its spellings: a program may encode some characters and leave
others. Each text has one way at most to match: backslashes before a character, and runs of
characters that may be doubled, each have one quantifier. So the time is linear, and no quantifier
is without a limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.entities import html5

# Before a character that is quoted, also more than once: JSON in JSON, a shell's in a log.
SLASH = "\\"
QUOTED = r"\\{1,8}"
MAYBE_QUOTED = r"\\{0,7}"
TIMES_QUOTED = 8
# Characters that quote, or are doubled; and what follows them: letters and digits, or another one.
TOKENS = re.compile(r"""([\\'"%$]*)([A-Za-z0-9]+|[^\\'"%$]|\Z)""", re.DOTALL)
# The names of a character in HTML and XML: &apos; and &eacute;
ENTITIES: dict[str, list[str]] = {}
for _name, _character in html5.items():
    if _name.endswith(";"):
        ENTITIES.setdefault(_character, []).append(f"&{_name}".lower())
LETTERS = {chr(7 + at): letter for at, letter in enumerate("abtnvfr")}


def pattern_of(text: str) -> str:
    """
    >>> bool(re.fullmatch(pattern_of("pa$s w"), "pa%24s+w"))
    True
    """
    return "".join(_quotes(run) + _other(other, run) for run, other in TOKENS.findall(text))


def encoded_everywhere(text: str) -> Iterator[tuple[str, str]]:
    """Every character by its number, letters too. Yields what each one begins with, and a pattern.

    >>> [begin for begin, _ in encoded_everywhere("a")]
    ['%', '\\\\', '\\\\', '\\\\', '\\\\', '\\\\', '\\\\', '&#', '&#']
    """
    for spelled in zip(*map(_numbers, text), strict=True):
        first = spelled[0]
        yield (
            SLASH if first.startswith(QUOTED) else first[: 1 + first.startswith("&")],
            "".join(spelled),
        )


def _quotes(run: str) -> str:
    """A run of characters that quote or are doubled: as many or more of the same kind."""
    if not run:
        return ""
    least, most = len(run) - 1, TIMES_QUOTED * (len(run) + 1)
    # In a shell, '"'"' is one quote.
    kind = {*run, *("'\"" if {*run} & {*"'\""} else "")}
    # As few as possible: the next quote may be of who prints the text.
    lazy = "" if run[-1] == SLASH else "?"
    numbers = _spelled("".join(sorted({*run})), r"\\")
    last = _one_of(kind if run[-1] == SLASH else kind - {SLASH})
    return f"(?:{_one_of(kind | {SLASH})}|{numbers}){{{least},{most}}}{lazy}(?:{last}|{numbers})"


def _other(run: str, before: str) -> str:
    """+ before: a run; one that ends with a backslash has matched all that are before this one"""
    if not run or (run.isascii() and run.isalnum()):
        return run
    plain = f"(?:{re.escape(run)}|\\+)" if run == " " else re.escape(run)
    quoted, raw = (r"\\", plain) if before.endswith(SLASH) else (QUOTED, MAYBE_QUOTED + plain)
    return f"(?:{raw}|{_spelled(run, quoted)})"


def _spelled(characters: str, quoted: str) -> str:
    """Any of the characters, encoded. + quoted: the pattern of backslashes before it"""
    # Each once: two ways to match one text, in each of n characters, are 2^n ways.
    numbers = (number for one in characters for number in _numbers(one))
    names = (name for one in characters for name in ENTITIES.get(one, ()))
    spelled = list(dict.fromkeys((*numbers, *names)))
    letters = filter(None, map(LETTERS.get, characters))
    with_slash = [one.removeprefix(QUOTED) for one in spelled if one.startswith(QUOTED)]
    others = [one for one in spelled if not one.startswith(QUOTED)]
    return f"(?i:{quoted}(?:{'|'.join((*with_slash, *letters))})|{'|'.join(others)})"


def _one_of(characters: set[str]) -> str:
    return f"[{''.join(map(re.escape, sorted(characters)))}]"


def _numbers(character: str) -> tuple[str, ...]:
    """How a character is written by its number: always as many, in the same order."""
    number, data = ord(character), character.encode("utf-8", "surrogatepass")
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return (
        # Encoded more than once: a percent sign is %25, then %2525.
        "".join(f"%(?:25){{0,3}}{byte:02x}" for byte in data),
        "".join(rf"{QUOTED}x{byte:02x}" for byte in data),
        "".join(rf"{QUOTED}{byte:03o}" for byte in data),
        "".join(rf"{QUOTED}u{units[at : at + 4]}" for at in range(0, len(units), 4)),
        rf"{QUOTED}x{number:02x}",
        rf"{QUOTED}U{number:08x}",
        # Of Rust and JavaScript.
        rf"{QUOTED}u\{{0{{0,5}}{number:x}\}}",
        f"&#0{{0,7}}{number};",
        f"&#x0{{0,7}}{number:x};",
    )
