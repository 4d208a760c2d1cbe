"""Compose's answer in a form that Compose reads: it is asked once, and given its answer to run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from gpuhost.runner.lib.failure import Failure

# Compose reads the file where it runs; "unconfined" and "builtin" are none.
PROFILE = re.compile(r"seccomp[=:](?!(?:unconfined|builtin)$)([^/~].*)")
# Characters of a refused text in the message.
SHOWN = 80
# Lists of blkio_config, with keys that Compose writes in another case.
DEVICES = (
    "weight_device",
    "device_read_bps",
    "device_read_iops",
    "device_write_bps",
    "device_write_iops",
)


def with_own_keys(value: Any) -> Any:
    """Compose doubles every $ of its answer, but reads keys as they are."""
    if isinstance(value, dict):
        return {key.replace("$$", "$"): with_own_keys(item) for key, item in value.items()}
    return [with_own_keys(item) for item in value] if isinstance(value, list) else value


def refuse_damaged_text(model: dict[str, Any]) -> None:
    """Raises Failure for what neither a path nor a variable can have: \\0, or half a character."""
    # The value of a service's variable may have any character: it is no path.
    services = {
        name: {**service, "environment": dict.fromkeys(service.get("environment") or ())}
        for name, service in (model.get("services") or {}).items()
    }
    for place, text in _texts({**model, "services": services}):
        if "\0" in text or text != text.encode("utf-8", "ignore").decode():
            raise Failure(
                f"the Compose files: {place!a} has a character that no path or variable can "
                f"have: {ascii(text)[:SHOWN]}",
                fix="correct it in the Compose file, or in the value of the variable that it names",
            )


def _texts(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every key and text, with its place: "volumes.data.driver_opts.o"."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield place, key
            yield from _texts(item, f"{place}.{key}".lstrip("."))
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, place)
    elif isinstance(value, str):
        yield place, value


def readable(sections: Iterable[dict[str, Any]]) -> None:
    """Correct the services of an answer.

    Compose 2.26 to 2.40 leaves out a limit of 0, which it then misses.
    """
    for section in sections:
        # All of them are active; and a file could have the profile of gpuhost, LEFT_OUT.
        section.pop("profiles", None)
        limits = section.get("ulimits") or {}
        for name, value in limits.items():
            if isinstance(value, dict):
                limits[name] = {"soft": 0, "hard": 0, **value} if value else 0
        for key in DEVICES:
            for entry in (section.get("blkio_config") or {}).get(key) or ():
                for name in [name for name in entry if not name.islower()]:
                    entry[name.lower()] = entry.pop(name)


def with_absolute_profiles(sections: Iterable[dict[str, Any]], directory: str) -> None:
    """Compose leaves the paths of seccomp profiles relative.

    + directory: of the project
    """
    for section in sections:
        if options := section.get("security_opt"):
            section["security_opt"] = [
                f"seccomp={directory}/{match[1]}"
                if (match := PROFILE.fullmatch(str(option)))
                else option
                for option in options
            ]
