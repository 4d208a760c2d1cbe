"""dockerd's flags, and the keys of daemon.json that they stand for.

dockerd does not start if a setting is given both ways, even with the same value. Flags and keys
have one name, except for those below (tried with dockerd 26.1.5 --validate).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SHORT = {
    "D": "debug",
    "G": "group",
    "H": "host",
    "b": "bridge",
    "g": "graph",
    "h": "help",
    "l": "log-level",
    "p": "pidfile",
    "s": "storage-driver",
    "v": "version",
}
SHORT_SWITCHES = "Dhv"
KEYS = {
    "authorization-plugin": "authorization-plugins",
    "cdi-spec-dir": "cdi-spec-dirs",
    "default-address-pool": "default-address-pools",
    "default-network-opt": "default-network-opts",
    "default-ulimit": "default-ulimits",
    "dns-opt": "dns-opts",
    "exec-opt": "exec-opts",
    "feature": "features",
    "graph": "data-root",
    "host": "hosts",
    "insecure-registry": "insecure-registries",
    "label": "labels",
    "log-opt": "log-opts",
    "node-generic-resource": "node-generic-resources",
    "registry-mirror": "registry-mirrors",
    "storage-opt": "storage-opts",
}
# Both ways are united: runtimes of the file and of --add-runtime.
UNITED = ("add-runtime",)


@dataclass(frozen=True)
class Flag:
    """+ name: long, without dashes
    + value: "" for a switch
    + text: as it was written
    + at: which of the words
    """

    name: str
    value: str
    text: str
    at: int = 0

    @property
    def key(self) -> str:
        """The key of daemon.json for the same setting."""
        return KEYS.get(self.name, self.name)


def parse_flags(words: Sequence[str]) -> tuple[Flag, ...]:
    """Flags as dockerd reads its arguments: long, short, joined, with `=` or a word after it.

    A word that begins with a dash is taken for the next flag: no flag of dockerd has such a value.
    """
    return tuple(_flags(words))


def _flags(words: Sequence[str]) -> Iterator[Flag]:
    for at, word in enumerate(words):
        if word == "--":
            return
        following = words[at + 1] if at + 1 < len(words) else ""
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            yield _flag(name, value if equals else None, word, following, at)
        elif word.startswith("-") and len(word) > 1:
            yield from _short(word, following, at)


def _short(word: str, following: str, at: int) -> Iterator[Flag]:
    letters = word[1:]
    while letters[0] in SHORT_SWITCHES and letters[1:2] not in ("", "="):
        yield Flag(SHORT[letters[0]], "", f"-{letters[0]}", at)
        letters = letters[1:]
    name, rest = SHORT.get(letters[0], letters[0]), letters[1:]
    value = rest.removeprefix("=") if rest else None
    yield _flag(name, value, f"-{letters}", following, at)


def _flag(name: str, value: str | None, text: str, following: str, at: int) -> Flag:
    if value is None and following and not following.startswith("-"):
        return Flag(name, following, f"{text} {following}", at)
    return Flag(name, value or "", text, at)


def in_both(flags: Iterable[Flag], values: Mapping[str, Any]) -> list[Flag]:
    """The flags whose setting daemon.json has too: dockerd does not start."""
    return [flag for flag in flags if flag.name not in UNITED and flag.key in values]
