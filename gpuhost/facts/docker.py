"""The container engine, for a look from the command line."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError
from typing_extensions import override

from gpuhost.snapshot import NotRead, Probe, Probes
from gpuhost.snapshot.docker import Docker


class Engine(FactBase[dict[str, Any] | None]):
    """
    What the running engine says of itself (``docker info``): its version, where its data lives,
    log driver, runtimes, mirrors, address pools, plugins, warnings. None if it does not run: asking
    never starts a stopped engine. Needs root or the group docker (``_sudo=True``).

    **Example:**

    .. code:: python

        from gpuhost.facts.docker import Engine

        # {"version": "29.1.0", "root": "/var/lib/docker", "runtimes": ["nvidia", "runc"], ...}
        host.get_fact(Engine, _sudo=True)

    or ``pyinfra HOST fact gpuhost.facts.docker.Engine``
    """

    @override
    def command(self) -> str:
        # Docker's socket is systemd's: a question there would start the engine.
        return (
            "if timeout 3 systemctl is-active --quiet docker.service; then "
            "LC_ALL=C timeout -k 1 10 docker info --format '{{json .}}'; fi"
        )

    @override
    def requires_command(self) -> str:
        return "docker"

    @override
    def process(self, output: list[str]) -> dict[str, Any]:
        # The reading's own parser, which wants the rest of a reading too.
        rest = dict.fromkeys(("units", "packages", "files"), Probe(0))
        probes = Probes({**rest, "docker_info": Probe(0, "\n".join(output))})
        try:
            found = Docker.read(probes)
        except NotRead as error:
            raise FactProcessError(str(error)) from error
        if found.engine is None:
            raise FactProcessError(found.engine_complaint)
        return asdict(found.engine)
