"""The proxy and the certificates of this machine's package archives, copied to each new host."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tests.lab.process import run

APT_FILE = "/etc/apt/apt.conf.d/00lab"
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
PROXY = re.compile(r'^Acquire::(?:http|https)::Proxy(?:::\S+)? "[^"]+";$', re.IGNORECASE)


def files(direct: Sequence[str] = ()) -> dict[str, bytes]:
    """Files by their path on a host: apt's proxy and own certificates, if this machine has them.

    + direct: addresses that must not go through the proxy
    """
    proxies = [line for line in _apt_config() if PROXY.match(line)]
    carried: dict[str, bytes] = {}
    if proxies:
        past = [f'Acquire::http::Proxy::{address} "DIRECT";' for address in direct]
        carried[APT_FILE] = ("\n".join([*proxies, *past]) + "\n").encode()
    own = Path("/usr/local/share/ca-certificates")
    if own.is_dir() and any(own.rglob("*.crt")) and Path(CA_BUNDLE).exists():
        carried[CA_BUNDLE] = Path(CA_BUNDLE).read_bytes()
    return carried


def _apt_config() -> list[str]:
    return run(["apt-config", "dump"], timeout=20, check=False).stdout.splitlines()
