"""Merge the data of inventories, group_data and the command line into one validated Settings.

An error names the key, its value, where it was set and what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from gpuhost.settings import Settings, fields
from gpuhost.settings.allowed_values import describe_allowed, takes_text
from gpuhost.settings.types import LOGIN_IN_URL

if TYPE_CHECKING:
    from pyinfra.api.host import Host

# "swap_size" and "gpus" are misspelt settings; "swap_partner" is the user's own data.
SIMILARITY = 0.85
# An argument of deploys on the command line, not a misspelt `apps`.
DEPLOY_ARGUMENTS = frozenset({"app"})
OVERRIDES = "--data"
MAX_VALUE_LENGTH = 100
# Dictionaries whose values may be tokens.
MASKED = frozenset({"build_args"})


class BadSettings(ValueError):
    """One line for each invalid setting."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = tuple(lines)


@dataclass(frozen=True)
class Layer:
    """A source of settings. where: its name in messages."""

    where: str
    values: Mapping[str, Any]


def merge_layers(layers: Sequence[Layer]) -> Settings:
    """The settings of these layers; the first layer that has a key wins.

    Raises BadSettings, with a line for every invalid setting.
    """
    merged: dict[str, tuple[Any, str]] = {}
    for layer in layers:
        for key, value in layer.values.items():
            merged.setdefault(key, (value, layer.where))
    lines = list(_misspelt(merged))
    known = fields()
    values = {key: _as_tuple(value) for key, (value, _) in merged.items() if key in known}
    try:
        settings = Settings(**values)
    except ValidationError as error:
        lines += _explain(error, merged)
    if lines:
        raise BadSettings(lines)
    return settings


def settings_of(host: Host) -> Settings:
    """The settings of a pyinfra host.

    Raises BadSettings.
    """
    return merge_layers(list(_layers(host)))


def _layers(host: Host) -> Iterator[Layer]:
    inventory = host.inventory
    yield Layer("the deploy's host.data", host.data.override_datas)
    yield Layer(OVERRIDES, inventory.get_override_data())
    yield Layer(f"the inventory, host {host.name}", inventory.get_host_data(host.name))
    # Of several groups the last wins.
    for group in reversed(host.groups):
        yield Layer(f"group {group}", inventory.get_group_data(group))
    yield Layer("group_data/all.py", inventory.get_data())


def describe_value(host: Host, key: str) -> str:
    """`ssh_port = '22' (group gpu)`: the value of a host's data, and where it was set."""
    for layer in _layers(host):
        if key in layer.values:
            return _assignment(key, layer.values[key], layer.where)
    return key


def _misspelt(merged: Mapping[Any, tuple[Any, str]]) -> Iterator[str]:
    names = list(fields())
    for key, (_, where) in merged.items():
        may_be_setting = isinstance(key, str) and key not in names and key not in DEPLOY_ARGUMENTS
        if not may_be_setting or key.startswith(("_", "ssh_")):
            continue
        # SWAP_SIZE_GB and swap-size-gb are misspelt settings too.
        close = get_close_matches(key.lower().replace("-", "_"), names, n=1, cutoff=SIMILARITY)
        if close:
            yield f"unknown setting {_format(key)[1:-1]} ({where}): did you mean {close[0]}?"


def _explain(error: ValidationError, merged: Mapping[str, tuple[Any, str]]) -> list[str]:
    # One line for each key: pydantic reports each alternative of a type on its own.
    lines: dict[str, str] = {}
    for detail in error.errors(include_url=False):
        if not detail["loc"]:
            message = detail["msg"].removeprefix("Value error, ")
            lines[message] = _explain_combination(message, merged)
            continue
        key = str(detail["loc"][0])
        value, where = merged[key]
        message = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == LOGIN_IN_URL:
            # This message is more precise than the list of allowed values.
            lines[key] = f"{_assignment(key, value, where)}: {message}"
            continue
        line = f"{_assignment(key, value, where)}: {describe_allowed(fields()[key], message)}"
        lines.setdefault(key, line + _shell_hint(key, value, where))
    return list(lines.values())


def _explain_combination(message: str, merged: Mapping[str, tuple[Any, str]]) -> str:
    """Settings that exclude each other, each with where it was set."""
    named = [key for key in fields() if key in merged and re.search(rf"\b{key}\b", message)]
    return ", ".join(_assignment(key, *merged[key]) for key in named) + f": {message}"


def _assignment(key: str, value: Any, where: str) -> str:
    return f"{key} = {_mask(key, value) or _format(value)} ({where})"


def _mask(key: str, value: Any) -> str:
    """What is shown in place of a secret; "": the value is not a secret."""
    # pyinfra's own data: ssh_password, _sudo_password.
    if "password" in key:
        return "***"
    if key not in MASKED:
        return ""
    if not isinstance(value, Mapping):
        return "***"
    return f"{{{', '.join(f'{_format(name)}: ***' for name in value)}}}"


def _format(value: Any) -> str:
    """A value on one line; the password in a URL is masked."""
    text = re.sub(r"(['\"]).*@", r"\1***@", repr(value))
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[:MAX_VALUE_LENGTH]}…"


def _shell_hint(key: str, value: Any, where: str) -> str:
    """On the command line 12.1 is a number, and a shell removes the quotes of "12.1"."""
    is_number = isinstance(value, int | float)
    if where != OVERRIDES or not is_number or not takes_text(fields()[key]):
        return ""
    return f"; in a shell: --data '{key}=\"{value}\"'"


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
