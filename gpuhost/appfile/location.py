"""nginx's locations. A location that is refused here would fail at `nginx -t`."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

# "~* /x": modifier and path.
MODIFIER = re.compile(r"(?:(=|\^~|~\*|~) )?(.*)", re.DOTALL)
# nginx uses PCRE; these errors of Python's expressions are errors there too.
SHARED_ERRORS = (
    "missing ), unterminated subpattern",
    "unbalanced parenthesis",
    "unterminated character set",
    "bad character range",
    "nothing to repeat",
)


def split_location(where: str) -> tuple[str, str]:
    """Modifier and path: ("^~", "/a"), ("", "/a")."""
    match = MODIFIER.fullmatch(where)
    return (match[1] or "", match[2]) if match else ("", where)


def _check_regex(where: str) -> str:
    modifier, path = split_location(where)
    if modifier.startswith("~") and (error := _regex_error(path)):
        raise ValueError(f"a valid regular expression ({error})")
    return where


def _regex_error(expression: str) -> str:
    """An error that nginx reports too; "" if there is none for certain."""
    # Python names groups with ?P<.
    python = re.sub(r"\(\?<(?=[A-Za-z_])", "(?P<", expression)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(python)
    except re.error as error:
        return error.msg if error.msg.startswith(SHARED_ERRORS) else ""
    except (OverflowError, RecursionError):
        return ""
    return ""


def reject_duplicates(paths: Mapping[str, Any]) -> None:
    """Raises ValueError for two locations that nginx treats as one."""
    prefixes: dict[str, str] = {}
    for where in paths:
        modifier, path = split_location(where)
        if modifier in ("", "^~") and prefixes.setdefault(path, where) != where:
            raise ValueError(
                f"{prefixes[path]} and {where} are the same location for nginx; keep one"
            )


Location = Annotated[
    str,
    Field(
        pattern=r"^(= |\^~ |~ |~\* )?/[^\s{};\"'\x00-\x1f\x7f]*$",
        title='a location, such as "/api/"',
    ),
    AfterValidator(_check_regex),
]
