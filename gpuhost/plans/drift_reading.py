"""What the key of the nightly drift check may do on a host: one reading, and nothing else."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files

from gpuhost.plans.host_file import HostFile
from gpuhost.settings import Settings
from gpuhost.snapshot.collector import script
from gpuhost.snapshot.request import Request

COMMAND = "/usr/local/lib/gpuhost/read"
ALLOWED = "/var/lib/gpuhost/reading.sha256"
PATIENCE = re.compile(r"^patience=\d{1,4}\n", re.MULTILINE | re.ASCII)


def request(settings: Settings) -> Request:
    return Request(managed=(COMMAND, ALLOWED))


def key_options() -> str:
    """The options of the key in authorized_keys."""
    return f'restrict,command="{COMMAND}"'


def reading_files(reading: Request) -> tuple[HostFile, ...]:
    """The forced command, and the hash of the one reading that it runs.

    + reading: what is read from this host, by its settings
    """
    return (
        HostFile(COMMAND, "#!/bin/sh\n" + _command(), "0755"),
        HostFile(ALLOWED, f"{digest(script(reading))}\n", "0600"),
    )


@lru_cache(maxsize=1)
def _command() -> str:
    return files("gpuhost.plans").joinpath("drift_read.sh").read_text(encoding="utf-8")


def digest(text: str) -> str:
    """The hash of a reading, whatever its patience."""
    return sha256(PATIENCE.sub("", text).encode()).hexdigest()
