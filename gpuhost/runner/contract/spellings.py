"""Regular expressions for the spellings in which programs print a text.

A character is matched in any of its spellings: a program may encode some characters and leave
others. Each text has one way at most to match: backslashes before a character, and runs of
characters that may be doubled, each have one quantifier. So the time is linear, and no quantifier
is without a limit.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

# Before a character that is quoted, also more than once: JSON in JSON, a shell's in a log.
QUOTED = r"\\{1,8}"
MAYBE_QUOTED = r"\\{0,7}"
TIMES_QUOTED = 8
# Backslashes, and what follows them: a run of letters and digits, or of one special character.
TOKENS = re.compile(r"""(\\*)([A-Za-z0-9]+|['"]+|%+|\$+|[^\\]|\Z)""", re.DOTALL)
LETTERS = {chr(7 + at): letter for at, letter in enumerate("abtnvfr")}
# How many characters may stand for one: %% and "" and, in a shell, '"'"'.
MOST = {"'": 5, '"': 2, "%": 2, "$": 2}


def pattern_of(text: str) -> str:
    """
    >>> bool(re.fullmatch(pattern_of("pa$s w"), "pa%24s+w"))
    True
    """
    return "".join(_token(len(slashes), run) for slashes, run in TOKENS.findall(text))


def encoded_everywhere(text: str) -> Iterator[tuple[str, str]]:
    """Every character by its number, letters too. Yields what each one begins with, and a pattern.

    >>> [begin for begin, _ in encoded_everywhere("a")]
    ['%', '\\\\', '\\\\', '\\\\', '\\\\', '\\\\', '&#', '&#']
    """
    for spelled in zip(*map(_numbers, text), strict=True):
        first = spelled[0]
        yield "\\" if first.startswith(QUOTED) else first[: 1 + first.startswith("&")], "".join(
            spelled
        )


def _token(slashes: int, run: str) -> str:
    whole, after_slashes = _run(run)
    if not slashes:
        return whole
    number = "|".join(_numbers("\\"))
    raw = rf"\\{{{slashes},{TIMES_QUOTED * (slashes + 1)}}}{after_slashes}"
    return f"(?:{raw}|(?i:{number}){{{slashes}}}{whole})"


def _run(run: str) -> tuple[str, str]:
    """A pattern, and one for the same after backslashes, which are matched already."""
    if not run or (run.isascii() and run.isalnum()):
        return run, run
    characters = "'\"" if "'" in run else run[0]
    most = MOST.get(characters[0], 1) * len(run)
    plain = "|".join(map(re.escape, f"{characters}+" if run == " " else characters))
    spelled = [number for one in characters for number in _numbers(one)]
    spelled += [re.escape(html.escape(one)) for one in characters if html.escape(one) != one]
    with_slash = [one.removeprefix(QUOTED) for one in spelled if one.startswith(QUOTED)]
    with_slash += filter(None, map(LETTERS.get, characters))
    others = "|".join(one for one in spelled if not one.startswith(QUOTED))
    quoted = f"(?i:{'|'.join(with_slash)})"
    one = f"(?:{MAYBE_QUOTED}(?:{plain})|{QUOTED}{quoted}|(?i:{others}))"
    if most == 1:
        return one, f"(?:{plain}|{quoted})"
    rest = f"{one}{{{len(run) - 1},{most - 1}}}"
    return f"{one}{{{len(run)},{most}}}", f"(?:{plain}|{quoted}){rest}"


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
        rf"{QUOTED}U0{{0,7}}{number:x}",
        f"&#0{{0,7}}{number};",
        f"&#x0{{0,7}}{number:x};",
    )
