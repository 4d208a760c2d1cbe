"""The containers of apps, compared on the host with how they were made when they were verified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files as resources
from shlex import quote

from gpuhost.domain import host_json
from gpuhost.runner.contract import APPS
from gpuhost.snapshot.apps import HAS_APPS
from gpuhost.snapshot.engine import ENGINE_RUNS
from gpuhost.snapshot.lenient import mappings, text, texts
from gpuhost.snapshot.probes import NotRead, Probe, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

# The runner imports the same file, so that record and reading have one form.
PROGRAM = (
    resources("gpuhost.runner.contract").joinpath("container_state.py").read_text(encoding="utf-8")
)
REQUEST = Request(
    probes=(
        ProbeCommand(
            "live_containers",
            f"python3 -I -S -c {quote(PROGRAM)} {APPS}",
            seconds=20,
            only_if=f"{HAS_APPS} && {ENGINE_RUNS}",
            absent=Probe(0, "[]"),
        ),
    ),
)


@dataclass(frozen=True)
class Changed:
    """A field of a service's containers, then and now; hashed values begin with "sha256:"."""

    service: str
    field: str
    was: str
    now: str


@dataclass(frozen=True)
class LiveContainers:
    """By app; one without a record, of an older gpuhost, is missing.

    + changed: what is not as recorded
    + unrecorded: fields that its containers have, and the record of an older gpuhost does not
    """

    changed: Mapping[str, tuple[Changed, ...]]
    unrecorded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, probes: Probes) -> LiveContainers:
        """Raises NotRead."""
        output = probes.output("live_containers")
        try:
            apps = mappings(host_json.parse(output))
        except ValueError as error:
            raise NotRead(f"live_containers: not valid JSON: {error}") from error
        kept = {text(app.get("name")): app for app in apps if app.get("kept") is True}
        return cls(
            {name: _changes(app.get("differences")) for name, app in kept.items()},
            {name: texts(app.get("unrecorded")) for name, app in kept.items()},
        )


def _changes(value: object) -> tuple[Changed, ...]:
    rows = value if isinstance(value, list) else []
    return tuple(
        Changed(*map(text, row)) for row in rows if isinstance(row, list) and len(row) == 4
    )
