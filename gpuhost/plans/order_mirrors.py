#!/usr/bin/python3 -I
"""Runs on the host before apt-cacher-ng starts: the mirrors that answer, in their order.

apt-cacher-ng goes on to the next mirror when one refuses or has not got a file, but not when one
says nothing at all. Where none answers its list is empty, and archives are asked themselves.
"""

from __future__ import annotations

import socket
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

MIRRORS = Path("/etc/gpuhost/build/mirrors")
LISTS = Path("/etc/apt-cacher-ng")
# List -> the archive's name on a mirror.
ARCHIVES = {
    "backends_debian": "debian",
    "backends_ubuntu": "ubuntu",
    "backends_gpuhost_security": "debian-security",
}
ANSWER_S = 5
ADDRESS_S = 60
FORBIDDEN = 403


def carries(archive: str) -> bool:
    """Whether a mirror has this archive; some show no list at its top."""
    return answers(archive) or answers(f"{archive}dists/")


def answers(url: str) -> bool:
    """Whether it is there; one that may not be seen is."""
    past_proxies = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with past_proxies.open(url, timeout=ANSWER_S):
            return True
    except urllib.error.HTTPError as error:
        return error.code == FORBIDDEN
    except (OSError, ValueError):
        return False


def write_lists(bases: list[str]) -> None:
    urls = {name: [f"{base}/{archive}/" for base in bases] for name, archive in ARCHIVES.items()}
    every = [url for some in urls.values() for url in some]
    with ThreadPoolExecutor(max(1, len(every))) as pool:
        good = dict(zip(every, pool.map(carries, every), strict=True))
    for name, some in urls.items():
        found = [url for url in some if good[url]]
        (LISTS / name).write_text("".join(f"{url}\n" for url in found))
        print(f"{name}: {', '.join(found) or 'no mirror answers'}", flush=True)


def is_there(address: str) -> bool:
    """Whether the address is this host's: without it apt-cacher-ng would run and not listen."""
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def main(address: str) -> None:
    write_lists(MIRRORS.read_text().split())
    end = time.monotonic() + ADDRESS_S
    while not is_there(address):
        if time.monotonic() > end:
            sys.exit(f"{address} is no address of this host: does the engine run?")
        time.sleep(1)


if __name__ == "__main__":
    main(sys.argv[1])
