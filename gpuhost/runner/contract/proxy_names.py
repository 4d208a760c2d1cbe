"""Variables that name a proxy; programs read them in lower case too."""

from __future__ import annotations

PROXY_NAMES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "FTP_PROXY"})


def is_proxy(name: str) -> bool:
    return name.upper() in PROXY_NAMES
