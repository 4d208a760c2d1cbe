"""The HTTP proxy as the host has it: of files that may hold a password, hashes only."""

from __future__ import annotations

import json
from dataclasses import dataclass

from gpuhost.snapshot.probes import NotRead, Probes

PROXY_RECORD = "/var/lib/gpuhost/proxy.json"


@dataclass(frozen=True)
class ClientProxy:
    """What root's Docker client gives to builds and containers.

    + digest: of the three proxy keys in config.json, None if there is no such file
    + recorded: the digest of what gpuhost wrote last, None if it never did
    """

    digest: str | None
    recorded: str | None

    @classmethod
    def read(cls, probes: Probes) -> ClientProxy:
        if probes.output("identity").strip() != "0":
            raise NotRead("only root can read root's Docker configuration")
        digest = None
        if "client_proxies" in probes:
            digest = probes.output("client_proxies").strip()
        return cls(digest, _recorded(probes.file(PROXY_RECORD) or "{}"))


def _recorded(text: str) -> str | None:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    digest = values.get("client") if isinstance(values, dict) else None
    return digest if isinstance(digest, str) else None
