"""Every use of a variable in the Compose files of a project, also of those with a default."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gpuhost.appfile.compose.interpolation import NAME
from gpuhost.appfile.document import Document, KeyPath, Tagged

VARIABLE = re.compile(
    rf"\$\$|\$\{{({NAME.pattern})(?:(:?[-?+])((?:[^{{}}]|\{{[^{{}}]*\}})*))?\}}|\$({NAME.pattern})"
)
# Values of these may be empty; anything else would be broken.
MAY_BE_EMPTY = ("environment", "labels", "args", "command")


@dataclass(frozen=True)
class Use:
    """${name…} in a file.

    + where: "compose.yaml:12"
    + default: None: there is none
    + required: Compose refuses the file if it is not set
    + services: of the project, which are made of that part of the file
    + key, entry: of the service: "environment", "API_KEY"
    + passed: `environment: [NAME]`
    """

    name: str
    where: str
    default: str | None = None
    required: bool = False
    services: tuple[str, ...] = ()
    key: str = ""
    entry: str = ""
    passed: bool = False


Owners = Mapping[tuple[str, str], tuple[str, ...]]


def uses_in(path: str, document: Document, owners: Owners) -> Iterator[Use]:
    """+ owners: the services of the project that are made of a service of a file"""
    for key_path, text in _texts(document.value, ()):
        services, key = _owner(path, key_path, owners)
        if services is None:
            continue
        where = f"{path}:{document.line(key_path)}"
        is_passed = key == "environment" and len(key_path) == 4
        if is_passed and isinstance(key_path[3], int) and NAME.fullmatch(text):
            yield Use(text, where, services=services, key=key, passed=True)
        for name, default, required in variables_in(text):
            yield Use(name, where, default, required, services, key, _entry(key_path, text))
    yield from _passed_in_mappings(path, document, owners)


def variables_in(text: str) -> Iterator[tuple[str, str | None, bool]]:
    """Name, default and whether it is required; also of those in a default."""
    for match in VARIABLE.finditer(text):
        braced, operator, other, plain = match.groups()
        if not (name := braced or plain):
            continue
        sign = (operator or "")[-1:]
        # ${NAME:+text} needs no value.
        yield name, other or "" if sign in ("-", "+") and sign else None, sign == "?"
        if sign in ("-", "+"):
            yield from variables_in(other or "")


def _passed_in_mappings(path: str, document: Document, owners: Owners) -> Iterator[Use]:
    """`environment: {NAME: }`: the value is that of the variable."""
    value = document.value if isinstance(document.value, dict) else {}
    services = value.get("services")
    for service, written in services.items() if isinstance(services, dict) else ():
        environment = written.get("environment") if isinstance(written, dict) else None
        for name, given in environment.items() if isinstance(environment, dict) else ():
            if given is None and NAME.fullmatch(name):
                where = document.line(("services", service, "environment", name))
                owning = owners.get((path, service), ())
                if owning:
                    yield Use(
                        name,
                        f"{path}:{where}",
                        services=owning,
                        key="environment",
                        entry=name,
                        passed=True,
                    )


def _owner(path: str, key_path: KeyPath, owners: Owners) -> tuple[tuple[str, ...] | None, str]:
    """The services, and the key; None: nothing that runs is made of it."""
    if str(key_path[0] if key_path else "").startswith("x-"):
        # What an anchor of it gives to a service is found there too.
        return None, ""
    if key_path[:1] != ("services",) or len(key_path) < 2:
        return (), ""
    services = owners.get((path, str(key_path[1])), ())
    return services or None, str(key_path[2]) if len(key_path) > 2 else ""


def _entry(key_path: KeyPath, text: str) -> str:
    """The name in a mapping, or in a list of NAME=value."""
    name = key_path[3] if len(key_path) > 3 else ""
    return name if isinstance(name, str) else text.partition("=")[0]


def _texts(value: Any, key_path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, str):
        yield key_path, value
    elif isinstance(value, Tagged):
        yield from _texts(value.value, key_path)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _texts(item, (*key_path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*key_path, index))
