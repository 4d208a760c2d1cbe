"""The container engine, as a pyinfra fact."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError
from typing_extensions import override

from gpuhost.remote.commands import own_engine
from gpuhost.snapshot import NotRead, Probe, Probes
from gpuhost.snapshot.docker import Docker


class Engine(FactBase[dict[str, Any] | None]):
    """
    The running engine (``docker info``): its version, where its data lives,
    log driver, runtimes, mirrors, address pools, plugins, warnings. None if it does not run: the
    fact never starts a stopped engine. Needs root or the group docker (``_sudo=True``).

    **Example:**

    .. code:: python

        from gpuhost.facts.docker import Engine

        # {"version": "29.1.0", "root": "/var/lib/docker", "runtimes": ["nvidia", "runc"], ...}
        host.get_fact(Engine, _sudo=True)

    or ``pyinfra HOST fact gpuhost.facts.docker.Engine``
    """

    @override
    def command(self) -> str:
        # systemd listens on Docker's socket: a request would start a stopped engine.
        return (
            f"{own_engine()}; if timeout 3 systemctl is-active --quiet docker.service; then "
            "LC_ALL=C timeout -k 1 10 docker info --format '{{json .}}'; fi"
        )

    @override
    def requires_command(self) -> str:
        return "docker"

    @override
    def process(self, output: list[str]) -> dict[str, Any]:
        # The parser of the snapshot, which needs other probes too.
        rest = dict.fromkeys(("units", "packages", "files"), Probe(0))
        probes = Probes({**rest, "docker_info": Probe(0, "\n".join(output))})
        try:
            docker = Docker.read(probes)
        except NotRead as error:
            raise FactProcessError(str(error)) from error
        if docker.engine is None:
            raise FactProcessError(docker.engine_complaint)
        return asdict(docker.engine)
