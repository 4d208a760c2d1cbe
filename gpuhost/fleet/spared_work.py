"""Work of the libraries that is the same for every host, or that C does in place of Python."""

from __future__ import annotations

import hmac
from functools import cache

import paramiko.util
from pyinfra.api import arguments


def spare_work() -> None:
    """A tenth of a login's and a reading's time on this machine."""
    # Of each packet's checksum; paramiko compares byte by byte in Python.
    paramiko.util.constant_time_bytes_eq = hmac.compare_digest  # type: ignore[assignment]
    # pyinfra evaluates the types of all its arguments for each command.
    if not hasattr(arguments.all_global_arguments, "cache_info"):
        arguments.all_global_arguments = cache(arguments.all_global_arguments)
