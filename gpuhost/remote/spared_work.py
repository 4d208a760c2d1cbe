"""Work of the libraries that is the same for every host, or that nobody needs."""

from __future__ import annotations

import hmac
import inspect
from functools import cache, partial
from types import ModuleType

import paramiko.util
import pyinfra.api.util
import pyinfra_cli.inventory  # type: ignore[import-untyped]
from pyinfra.api import arguments, connectors
from pyinfra.connectors import base

from gpuhost.remote.known_hosts import index_known_hosts


def spare_work() -> None:
    """A tenth of a login's and a reading's time on this machine, a fifth of the start, and half of
    what a deploy takes here. It may be called any number of times.
    """
    index_known_hosts()
    # Of each packet's checksum; paramiko compares byte by byte in Python.
    paramiko.util.constant_time_bytes_eq = hmac.compare_digest  # type: ignore[assignment]
    # pyinfra looks through all installed packages for connectors, four times for each inventory;
    _only_once(connectors, "entry_points")
    # parses a file of group_data for each of its variables;
    _only_once(pyinfra_cli.inventory, "_get_imported_names")
    # evaluates the types of a connector's data twice for each host,
    _only_once(base, "get_type_hints")
    # and those of all its arguments for each command;
    _only_once(arguments, "all_global_arguments")
    # and reads the source of every frame for each operation, of which it needs the line numbers.
    pyinfra.api.util.stack = partial(inspect.stack, 0)
    pyinfra.api.util.getframeinfo = partial(inspect.getframeinfo, context=0)


def _only_once(module: ModuleType, name: str) -> None:
    """For the same arguments."""
    function = getattr(module, name, None)
    if function is not None and not hasattr(function, "cache_info"):
        setattr(module, name, cache(function))
