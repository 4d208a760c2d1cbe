"""The HTTP proxy that the host's bootstrap gave to root's Docker client, for other tools too."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

CLIENT = Path("/root/.docker/config.json")
# Docker's keys to what programs of the network read.
NAMES = {
    "httpProxy": ("http_proxy",),
    "httpsProxy": ("https_proxy", "HTTPS_PROXY"),
    "noProxy": ("no_proxy", "NO_PROXY"),
}


def client() -> dict[str, Any]:
    """Root's own config.json of Docker's client; {} where there is none, or none that is read."""
    try:
        value = json.loads(CLIENT.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def environment() -> dict[str, str]:
    """For a program that takes its proxy from the environment."""
    default = _proxies().get("default", {})
    return {name: value for key, value in default.items() for name in NAMES.get(key, ())}


def passwords() -> Iterator[str]:
    """Of every proxy, as it is and as an address has it: builds and containers are given both."""
    for declared in _proxies().values():
        for value in declared.values():
            if password := _password(value):
                yield from (password, unquote(password))


def _proxies() -> dict[str, Mapping[str, str]]:
    """By the engine that they are for, or "default"."""
    found = client().get("proxies")
    engines = found.items() if isinstance(found, dict) else ()
    return {
        engine: {key: url for key, url in declared.items() if url and isinstance(url, str)}
        for engine, declared in engines
        if isinstance(declared, dict)
    }


def _password(url: str) -> str | None:
    try:
        return urlsplit(url).password
    except ValueError:
        return None
