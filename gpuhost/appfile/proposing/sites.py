"""nginx and public: how people reach the app."""

from __future__ import annotations

from collections.abc import Iterator

from gpuhost.appfile.proposing.health import Published, facing, published
from gpuhost.appfile.proposing.project import Project, started
from gpuhost.appfile.proposing.proposal import Note, Proposal, Proposed, Value

OF_SITES = (80, 443)


def proposals(project: Project) -> Iterator[Proposed]:
    yield from _clashes(project)
    own = [
        port
        for name, _ in project.services()
        for port in published(project, name)
        if port.host in OF_SITES
    ]
    if own:
        yield from _public(own)
        return
    ports = facing(project)
    if ports:
        value: dict[str, Value] = {
            "upstream": f"127.0.0.1:{ports[0].host}",
            "server_names": (f"{project.name.replace('_', '-')}.example.com",),
            "tls": {"kind": "self-signed"},
        }
        said = f"{ports[0].where}: a site of the host's nginx; without it only the host reaches it"
        yield Proposal(("nginx",), value, said, suggested=True)


def _clashes(project: Project) -> Iterator[Proposed]:
    """Services that always run, on one port: they are meant as a choice."""
    always = started(project, ())
    by_port: dict[int, dict[str, None]] = {}
    for name, _ in project.services():
        for port in published(project, name) if name in always else ():
            by_port.setdefault(port.host, {})[name] = None
    names = {tuple(services): port for port, services in by_port.items() if len(services) > 1}
    for services, number in names.items():
        said = f"{', '.join(services)} publish the same port {number}: leave all but one out, with"
        yield Note("with_gpu", f"{said} leave_out of with_gpu and without_gpu", todo=True)


def _public(own: list[Published]) -> Iterator[Proposed]:
    names = dict.fromkeys(port.service for port in own)
    ports = ", ".join(sorted({str(port.host) for port in own}))
    publish = "publishes" if len(names) == 1 else "publish"
    yield Note(
        "public",
        f"{' and '.join(names)} {publish} {ports} ({own[0].where}): a proxy of the project's own. "
        "gpuhost publishes on loopback only, unless a port is here; firewall_allow needs it too",
    )
    value = tuple(f"{port.service}:{port.host}" for port in own)
    yield Proposal(("public",), value, "", suggested=True)
