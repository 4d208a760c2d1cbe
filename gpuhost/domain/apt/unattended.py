"""What unattended-upgrades may install: whether security updates are among it.

Its two lists (unattended_upgrade.py, get_allowed_origins): Allowed-Origins with `ID:ARCHIVE`, and
Origins-Pattern with `key=value,…`. Both are compared with the Release file of a package's archive.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

SHORT = {
    "origin": "o",
    "label": "l",
    "suite": "a",
    "archive": "a",
    "codename": "n",
    "component": "c",
}
# Where packages come from and of which part does not decide here.
ANYWHERE = ("c", "site", "uri")
SEPARATOR = re.compile(r"(?<!\\):")


def faulty(allowed: Iterable[str]) -> str:
    """The entry of Allowed-Origins on which unattended-upgrade ends; "": none."""
    return next((text for text in allowed if len(_words(text)) != 2), "")


def has_security(
    allowed: Iterable[str], patterns: Iterable[str], distribution: str, codename: str
) -> bool:
    """Whether the distribution's security updates match an entry of either list."""
    release = _release(distribution, codename)
    entries = [f"o={words[0]},a={words[1]}" for text in allowed if len(words := _words(text)) == 2]
    names = {"distro_id": distribution.capitalize(), "distro_codename": codename}
    filled = (_filled(text, names) for text in (*entries, *patterns))
    return any(_matches(text, release) for text in filled)


def _words(text: str) -> list[str]:
    return SEPARATOR.split(text) if SEPARATOR.search(text) else text.split()


def _filled(text: str, names: Mapping[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(f"${{{name}}}", value)
    return text


def _release(distribution: str, codename: str) -> Mapping[str, tuple[str, ...]]:
    """The heads of their security archives' Release files. Debian's Suite names no codename."""
    codenames = (codename, f"{codename}-security")
    if distribution == "ubuntu":
        return {"o": ("Ubuntu",), "l": ("Ubuntu",), "a": (codenames[1],), "n": codenames}
    suites = ("stable", "oldstable", "oldoldstable", "testing")
    archives = (*suites, *(f"{suite}-security" for suite in suites))
    return {"o": ("Debian",), "l": ("Debian-Security",), "a": archives, "n": codenames}


def _matches(pattern: str, release: Mapping[str, tuple[str, ...]]) -> bool:
    pairs = [part.partition("=") for part in re.split(r"(?<!\\),", pattern) if part.strip()]
    return bool(pairs) and all(
        _holds(key.strip(), value.strip(), release) for key, _, value in pairs
    )


def _holds(key: str, value: str, release: Mapping[str, tuple[str, ...]]) -> bool:
    name = SHORT.get(key, key)
    return name in ANYWHERE or any(fnmatchcase(each, value) for each in release.get(name, ()))
