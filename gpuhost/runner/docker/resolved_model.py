"""resolved.json: what Compose resolved the app's files to, as gpuhost changed it.

It is Compose's own JSON, a dict, with one more key for what Compose has no word for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gpuhost.runner.contract import from_json

# Options of an overlay: where it writes.
OVERLAY = ("upperdir", "workdir")
# Every verb of every app looks at each.
MOST_WRITTEN = 1000
Model = dict[str, Any]
KEY = "x-gpuhost-release"
# The profile of a service that is left out: only its image is built, for others that are FROM it.
LEFT_OUT = "gpuhost-left-out"


@dataclass(frozen=True)
class Extension:
    """The key x-gpuhost-release: what the runner knows beside the model.

    + inactive: services of the files that are not in this release
    + lasting: services without a restart policy: those that still run when the app is up get one
    + one_shots: services that must end with 0
    + of_migration: services that only the migration needs: `up` does not start them
    + copies: paths whose content in the source is copied into shared/, if that has none yet
    """

    inactive: tuple[str, ...] = ()
    lasting: tuple[str, ...] = ()
    one_shots: tuple[str, ...] = ()
    of_migration: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()


def extension(model: Mapping[str, Any]) -> Extension:
    return from_json(Extension, model.get(KEY) or {})


def with_extension(model: Mapping[str, Any], own: Extension) -> Model:
    # As it is after reading the file: with lists.
    return {**model, KEY: json.loads(json.dumps(asdict(own)))}


def is_left_out(section: Mapping[str, Any]) -> bool:
    return LEFT_OUT in (section.get("profiles") or ())


def running(model: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The services that are not left out, the migration among them."""
    services: Mapping[str, dict[str, Any]] = model.get("services") or {}
    return {name: section for name, section in services.items() if not is_left_out(section)}


def written_by_containers(model: Mapping[str, Any]) -> Iterator[str]:
    """Directories of the host that containers can write to.

    The root directory is left out: with the whole host, a container needs no link.

    Raises ValueError for other shapes, and for more than MOST_WRITTEN.
    """
    found: set[str] = set()
    try:
        for source in _writable_sources(model):
            path = str(source or "").replace("$$", "$")
            normal = os.path.normpath(f"/{path.lstrip('/')}")
            if not path.startswith("/") or normal == "/" or normal in found:
                continue
            found.add(normal)
            if len(found) > MOST_WRITTEN:
                raise ValueError(
                    f"more than {MOST_WRITTEN} directories of the host for containers to write to"
                )
            yield normal
    except (AttributeError, TypeError) as error:
        raise ValueError(f"not a model of Compose: {error}") from None


def _writable_sources(model: Mapping[str, Any]) -> Iterator[object]:
    # Compose writes all volumes in their long form.
    for section in (model.get("services") or {}).values():
        for volume in section.get("volumes") or ():
            if volume.get("type") == "bind" and volume.get("read_only") is not True:
                yield volume.get("source")
    for volume in (model.get("volumes") or {}).values():
        options = (volume or {}).get("driver_opts") or {}
        yield options.get("device")
        # An overlay: upperdir=/srv/changes.
        for option in str(options.get("o") or "").split(","):
            name, _, value = option.partition("=")
            if name in OVERLAY:
                yield value


def restart_policy(section: Mapping[str, Any]) -> str:
    """The policy of a service as the files declare it; "": none declared."""
    deploy = section.get("deploy") or {}
    declared = (deploy.get("restart_policy") or {}).get("condition") or section.get("restart")
    return str(declared or "")
