"""The HTTP proxy that the host's bootstrap gave to root's Docker client, for other tools too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gpuhost.runner.log import Log

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


def environment(log: Log) -> dict[str, str]:
    """For a program that takes its proxy from the environment; its password is masked from now."""
    proxies = client().get("proxies")
    default = proxies.get("default") if isinstance(proxies, dict) else None
    if not isinstance(default, dict):
        return {}
    values = {key: value for key, value in default.items() if isinstance(value, str) and value}
    log.mask(filter(None, (_password(value) for value in values.values())))
    return {name: value for key, value in values.items() for name in NAMES.get(key, ())}


def _password(url: str) -> str | None:
    try:
        return urlsplit(url).password
    except ValueError:
        return None
