"""verify: addresses that answer when the app is up."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gpuhost.appfile.compose.short_forms import PublishedPort
from gpuhost.appfile.proposing.candidates import words_of
from gpuhost.appfile.proposing.cards import card_services
from gpuhost.appfile.proposing.project import Project, started
from gpuhost.appfile.proposing.proposal import ITEM, Note, Proposal, Proposed
from gpuhost.appfile.proposing.stores import kind_of
from gpuhost.appfile.proposing.variants import variants

URL = re.compile(
    r"(https?)://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\])(?::(\d{1,5}))?(/[A-Za-z0-9/_.~%?=&-]*)?"
)
# Ports in containers that do not speak HTTP.
NOT_HTTP = frozenset(
    (21, 22, 25, 53, 110, 143, 465, 587, 993, 995, 1433, 1521, 1883, 2181, 2375, 2379, 2380, 3306,
     3478, 4222, 5349, 5432, 5433, 5672, 6379, 6380, 7687, 8883, 9042, 9092, 9094, 11211, 19530,
     27017, 27018, 50051)
)  # fmt: skip
# What people open first.
FACING = frozenset(
    (
        *(
            "web",
            "webui",
            "ui",
            "frontend",
            "front",
            "client",
            "nginx",
            "proxy",
            "gateway",
            "caddy",
        ),
        *("traefik", "app", "site", "portal", "dashboard", "server"),
    )
)
TOOLS = frozenset(
    (
        *(
            "pgadmin",
            "adminer",
            "mailhog",
            "mailpit",
            "flower",
            "grafana",
            "prometheus",
            "phpmyadmin",
        ),
        *("redisinsight", "exporter", "commander", "jaeger", "minio", "monitoring", "watchtower"),
        *("mongo", "express", "admin", "debug", "loki", "tempo", "otel", "collector", "portainer"),
    )
)


@dataclass(frozen=True)
class Published:
    """A TCP port of a service that is published on a fixed port of the host."""

    service: str
    host: int
    container: int
    where: str


def published(project: Project, service: str) -> Iterator[Published]:
    if project.compose.services[service].network_mode == "host":
        return
    for index, port in enumerate(project.ports(service)):
        where = project.where("services", service, "ports", index)
        yield from _pairs(service, port, where)


def _pairs(service: str, port: PublishedPort, where: str) -> Iterator[Published]:
    hosts = sorted(port.ports)
    if port.protocol != "tcp" or len(hosts) != 1 or not port.container.isdecimal():
        return
    if 0 < int(port.container) <= 65535 and hosts[0] > 0:
        yield Published(service, hosts[0], int(port.container), where)


def facing(project: Project) -> list[Published]:
    """Ports that may speak HTTP, the one for people first."""
    found = [
        port
        for name, service in project.services()
        if not kind_of(service, project, name)
        for port in published(project, name)
        if port.container not in NOT_HTTP
    ]
    return sorted(found, key=_rank)


def _rank(port: Published) -> tuple[bool, bool, bool, bool]:
    words = words_of(port.service)
    return (
        bool(words & TOOLS),
        port.host not in (80, 443),
        port.container == 443,
        not words & FACING,
    )


def proposals(project: Project) -> Iterator[Proposed]:
    steps = list(_of_health_checks(project))
    yield from steps
    if not steps:
        yield from _guess(project)
    for name in card_services(project)[:1]:
        if name in project.active:
            command = {"service": name, "run": ("nvidia-smi", "-L"), "only": "with_gpu"}
            said = "tests that the card is there; better: test that the app uses it"
            yield Proposal(("verify", "steps", ITEM), {"command": command}, said, suggested=True)


def _of_health_checks(project: Project) -> Iterator[Proposal]:
    for name, _ in project.services():
        found = _test(project, name)
        is_tool = TOOLS & words_of(name) or kind_of(project.compose.services[name], project, name)
        if found is None or is_tool:
            # That the health check itself is good is required anyway.
            continue
        text, where = found
        match = URL.search(text)
        if match is None:
            continue
        scheme, number, path = match[1], match[2], match[3] or "/"
        inside = int(number) if number else 443 if scheme == "https" else 80
        port = next((one for one in published(project, name) if one.container == inside), None)
        if port:
            url = f"{scheme}://127.0.0.1:{port.host}{path}"
            said = f"{where}: the health check of {name}"
            yield Proposal(("verify", "steps", ITEM), {"health": _health(project, name, url)}, said)


def _test(project: Project, name: str) -> tuple[str, str] | None:
    """The command of a health check and its line: of the Compose file, else of the image."""
    written = project.raw(name).get("healthcheck")
    test = written.get("test") if isinstance(written, Mapping) else None
    if test:
        text = " ".join(map(str, test)) if isinstance(test, list) else str(test)
        return text, project.where("services", name, "healthcheck", "test")
    dockerfile = project.dockerfile(name)
    if dockerfile and dockerfile.health:
        return dockerfile.health.text, dockerfile.health.where
    return None


def _health(project: Project, service: str, url: str) -> dict[str, str]:
    of = variants(project)
    if service in started(project, ()):
        return {"url": url}
    with_card, without = started(project, (of.card,)), started(project, (of.cpu,))
    if of.card and service in with_card and service not in without:
        return {"url": url, "only": "with_gpu"}
    if of.cpu and service in without and service not in with_card:
        return {"url": url, "only": "without_gpu"}
    return {"url": url}


def _guess(project: Project) -> Iterator[Proposed]:
    ports = facing(project)
    if not ports:
        said = "no port is published: test the app inside its container, with a step `command`"
        yield Note("verify", said, todo=True)
        return
    port = ports[0]
    said = (
        f"the address is a guess: {port.service} publishes {port.host} ({port.where}). It must "
        "answer 200. Better: its health address, or a `request` that proves what the app is for"
    )
    yield Note("verify", said, todo=True)
    scheme = "https" if port.container in (443, 8443) else "http"
    url = f"{scheme}://127.0.0.1:{port.host}/"
    health = _health(project, port.service, url)
    yield Proposal(("verify", "steps", ITEM), {"health": health}, port.where)
