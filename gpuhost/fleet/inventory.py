"""An inventory as pyinfra reads it; errors that pyinfra ignores are reported."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from pyinfra import logger
from pyinfra.api import Config, State
from pyinfra.api.exceptions import ConnectorDataTypeError, PyinfraError
from pyinfra.api.host import Host
from pyinfra.api.inventory import Inventory
from pyinfra.connectors.base import host_to_connector_data
from pyinfra.context import ctx_config, ctx_inventory, ctx_state
from pyinfra_cli.exceptions import (  # type: ignore[import-untyped]
    CliError,
    UnexpectedExternalError,
)
from pyinfra_cli.inventory import (  # type: ignore[import-untyped]
    make_inventory,
    make_inventory_from_files,
)
from pyinfra_cli.util import exec_file  # type: ignore[import-untyped]

from gpuhost.settings.merge import describe_value

HOW_TO_NAME_HOSTS = (
    'name your hosts in it, such as gpu = ["203.0.113.10"]; '
    "for this machine, use @local in place of the inventory"
)


class BadInventory(Exception):
    """The inventory cannot be used; the message says in one line what to do."""


@dataclass(frozen=True)
class Fleet:
    """The hosts of an inventory.

    + refused: hosts whose connection data pyinfra refuses, with the reason
    + names: all hosts of the inventory, also those that --limit and --exclude leave out
    """

    hosts: tuple[Host, ...]
    refused: Mapping[str, str]
    state: State
    names: frozenset[str] = frozenset()


def load(
    inventory: str,
    *,
    data: Mapping[str, Any],
    group_data: Sequence[str] = (),
    limit: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> Fleet:
    """The hosts of an inventory file, a list of host names or a connector, ready to connect to.

    + data: overrides everything else, as `--data` does
    + group_data: more directories like ``group_data``
    + limit, exclude: names, patterns such as ``gpu*``, or groups

    Raises BadInventory, also if no host is left.
    """
    state = State()
    state.cwd = str(Path.cwd())
    sys.path.append(state.cwd)
    config = Config()
    ctx_state.set(state)
    ctx_config.set(config)
    if Path("config.py").exists():
        _load_or_explain("config.py", exec_file, "config.py")
    loaded: Inventory = _load_or_explain(
        inventory,
        _loader(inventory),
        inventory,
        cwd=state.cwd,
        override_data=dict(data),
        group_data_directories=list(group_data),
    )
    if not len(loaded):
        raise BadInventory(f"{inventory} names no host: {HOW_TO_NAME_HOSTS}")
    ctx_inventory.set(loaded)
    hosts, names = _select(loaded, limit, exclude), frozenset(loaded.hosts)
    refused = _refused(loaded)
    for name in refused:
        # A single one of them would stop pyinfra for all hosts.
        del loaded.hosts[name]
    state.init(loaded, config)
    return Fleet(tuple(hosts), refused, state, names)


def _refused(inventory: Inventory) -> dict[str, str]:
    refused = {}
    for host in inventory:
        connector = host.connector_cls
        try:
            host_to_connector_data(connector.data_cls, connector.data_meta, host.data)
        except ConnectorDataTypeError as error:
            _, key, problem = str(error).split("`", 2)
            refused[host.name] = f"{describe_value(host, key)}: {problem.lstrip(': ')}"
    return refused


def _loader(inventory: str) -> Any:
    """pyinfra's loader for this inventory. pyinfra itself takes a mistyped path for a host name."""
    path = Path(inventory)
    if path.is_dir():
        raise BadInventory(f"{inventory} is a directory: name an inventory file in it")
    if not path.exists() and not all(inventory.split(",")):
        raise BadInventory(f"{inventory!r} has an empty host name in it")
    if path.exists() or "@" in inventory or "," in inventory:
        return make_inventory
    if path.suffix == ".py" or os.sep in inventory or path.with_suffix(".py").exists():
        raise BadInventory(f"no such inventory file: {inventory}{_did_you_mean(path)}")
    return make_inventory_from_files if _is_ssh_alias(inventory) else _named_host


def _named_host(inventory: str, **options: Any) -> Inventory:
    # pyinfra only warns, and continues without hosts.
    logger.disabled = True
    try:
        made: Inventory = make_inventory(inventory, **options)
    finally:
        logger.disabled = False
    if not len(made):
        raise BadInventory(
            f"{inventory} is neither an inventory file nor a host: no such file, "
            "and the name does not resolve"
        )
    return made


def _is_ssh_alias(name: str) -> bool:
    """Whether ssh_config has it: maybe only the jump host can resolve its address."""
    from pyinfra.connectors.sshuserclient.client import get_ssh_config

    config = get_ssh_config()
    return config is not None and name in config.get_hostnames()


def _did_you_mean(path: Path) -> str:
    files = [file.name for file in path.parent.glob("*.py")] if path.parent.is_dir() else []
    close = get_close_matches(path.name, files, n=1)
    return f" (did you mean {path.with_name(close[0])}?)" if close else ""


def _load_or_explain(file: str, load: Any, *arguments: Any, **options: Any) -> Any:
    """Call a loader. An error in the user's file becomes one line, without a traceback."""
    try:
        return load(*arguments, **options)
    except UnexpectedExternalError as error:
        cause, where = error.exception, error.filename
        raise BadInventory(f"{where}: {type(cause).__name__}: {cause}") from error
    except SyntaxError as error:
        raise BadInventory(f"{error.filename}, line {error.lineno}: {error.msg}") from error
    except CliError as error:
        raise BadInventory(error.message) from error
    except BadInventory:
        raise
    except PyinfraError as error:
        raise BadInventory(f"{file}: {error}") from error
    except Exception as error:
        # pyinfra raises various exceptions for entries that are not hosts.
        raise BadInventory(f"{file}: {type(error).__name__}: {error}") from error


def _select(inventory: Inventory, limit: Iterable[str], exclude: Iterable[str]) -> list[Host]:
    hosts = list(inventory)
    if matches := [_matching(inventory, pattern, "--limit") for pattern in limit]:
        hosts = [host for host in hosts if any(host in some for some in matches)]
    for pattern in exclude:
        excluded = _matching(inventory, pattern, "--exclude")
        hosts = [host for host in hosts if host not in excluded]
    if not hosts:
        raise BadInventory("--limit and --exclude leave no host")
    return hosts


def _matching(inventory: Inventory, pattern: str, option: str) -> list[Host]:
    if pattern in inventory.groups:
        return list(inventory.groups[pattern])
    if hosts := [host for host in inventory if fnmatch(host.name, pattern)]:
        return hosts
    groups = sorted(group for group, members in inventory.groups.items() if members)
    raise BadInventory(
        f"{option} {pattern} matches no host; groups: {', '.join(groups) or 'none'}; "
        f"hosts: {', '.join(sorted(inventory.hosts)[:10])}"
    )
