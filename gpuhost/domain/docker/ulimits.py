"""Limits of containers (setrlimit(2)): how they are written, and what known programs need."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# RLIM_INFINITY: "unlimited" in /proc/PID/limits, "infinity" of systemd, -1 in Compose.
UNLIMITED = 2**64 - 1
_WORDS = {"unlimited": UNLIMITED, "infinity": UNLIMITED, "-1": UNLIMITED}
# vLLM and SGLang raise their soft limit to this (`set_ulimit`), and warn of "Too many open files"
# where the hard limit is lower; Elasticsearch refuses to start (its file descriptor check).
_FILES_NEEDED = 65535
_NEEDING_FILES = re.compile(r"(?:^|/)(?:vllm-openai|sglang|elasticsearch)(?:[:@]|$)")


@dataclass(frozen=True)
class Limit:
    """A program may raise its soft limit up to the hard one."""

    soft: int
    hard: int


def amount(value: Any) -> int | None:
    """A number of any notation; None if it is none: a variable, or nonsense."""
    text = str(value).strip() if isinstance(value, (str, int)) else ""
    return int(text) if re.fullmatch(r"[0-9]{1,19}", text, re.ASCII) else _WORDS.get(text)


def limit(soft: Any, hard: Any) -> Limit | None:
    first, second = amount(soft), amount(hard)
    return None if first is None or second is None else Limit(first, second)


def daemon_ulimits(values: Mapping[str, Any], flags: Iterable[str]) -> dict[str, Limit]:
    """The engine's defaults for containers, by the limit's name.

    + values: of daemon.json
    + flags: values of --default-ulimit: "nofile=1024:4096"
    """
    written = values.get("default-ulimits")
    found = {
        name: limit(one.get("Soft", 0), one.get("Hard", 0))
        for name, one in (written.items() if isinstance(written, dict) else ())
        if isinstance(one, dict)
    }
    for flag in flags:
        name, _, numbers = flag.partition("=")
        soft, _, hard = numbers.partition(":")
        found[name] = limit(soft, hard or soft)
    return {name: one for name, one in found.items() if one}


def files_needed(image: str) -> int | None:
    """How many open files the program of an image asks for; None: nothing is known."""
    return _FILES_NEEDED if _NEEDING_FILES.search(image) else None
