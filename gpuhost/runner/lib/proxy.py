"""The HTTP proxy from the configuration of root's Docker client, for other tools too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from gpuhost.runner.lib.files import read_json

CLIENT = Path("/root/.docker/config.json")
# Docker's keys -> the environment variables.
NAMES = {
    "httpProxy": ("http_proxy",),
    "httpsProxy": ("https_proxy", "HTTPS_PROXY"),
    "noProxy": ("no_proxy", "NO_PROXY"),
}


def client() -> dict[str, Any]:
    """config.json of root's Docker client; {} if it is missing or damaged."""
    return read_json(CLIENT)


def environment() -> dict[str, str]:
    """The environment variables for other programs."""
    default = _proxies().get("default", {})
    return {name: value for key, value in default.items() for name in NAMES.get(key, ())}


def passwords() -> Iterator[str]:
    """The password of every proxy, decoded and as in the URL: builds and containers get both."""
    for declared in _proxies().values():
        for value in declared.values():
            password = _password(value)
            yield from (password, unquote(password))


def _proxies() -> dict[str, Mapping[str, str]]:
    """By the engine that they are for, or "default"."""
    declared_by_engine = client().get("proxies")
    engines = declared_by_engine.items() if isinstance(declared_by_engine, dict) else ()
    return {
        engine: {key: url for key, url in declared.items() if url and isinstance(url, str)}
        for engine, declared in engines
        if isinstance(declared, dict)
    }


def _password(url: str) -> str:
    """Or a token in its place; "": none. Clients need no scheme, and accept any character."""
    address = url.partition("://")[2] or url
    user, _, password = address.rpartition("@")[0].partition(":")
    return password or user
