"""nginx's locations: what is refused here would end every release at `nginx -t`."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

# "~* /x": how a location is compared, and with what.
MODIFIER = re.compile(r"(?:(=|\^~|~\*|~) )?(.*)", re.DOTALL)
# nginx's expressions are PCRE's and not Python's; these complaints they have in common.
COMPLAINTS = (
    "missing ), unterminated subpattern",
    "unbalanced parenthesis",
    "unterminated character set",
    "bad character range",
    "nothing to repeat",
)


def split_location(where: str) -> tuple[str, str]:
    """Modifier and path: ("^~", "/a"), ("", "/a")."""
    found = MODIFIER.fullmatch(where)
    return (found[1] or "", found[2]) if found else ("", where)


def _is_read(where: str) -> str:
    modifier, path = split_location(where)
    if modifier.startswith("~") and (complaint := _complaint(path)):
        raise ValueError(f"a regular expression that nginx reads ({complaint})")
    return where


def _complaint(expression: str) -> str:
    """What is wrong with it for sure; "" where nginx has to say."""
    # Names of groups are written otherwise.
    pythons = re.sub(r"\(\?<(?=[A-Za-z_])", "(?P<", expression)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(pythons)
    except re.error as error:
        return error.msg if error.msg.startswith(COMPLAINTS) else ""
    except (OverflowError, RecursionError):
        return ""
    return ""


def reject_duplicates(paths: Mapping[str, Any]) -> None:
    """Raises ValueError: two that nginx takes for one."""
    prefixes: dict[str, str] = {}
    for where in paths:
        modifier, path = split_location(where)
        if modifier in ("", "^~") and prefixes.setdefault(path, where) != where:
            raise ValueError(f"{prefixes[path]} and {where} are one location to nginx; give one")


Location = Annotated[
    str,
    Field(pattern=r"^(= |\^~ |~ |~\* )?/[^\s{};\"']*$", title='a location, such as "/api/"'),
    AfterValidator(_is_read),
]
