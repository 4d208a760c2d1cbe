"""What `verify` and the site ask exists, proves the purpose, and is answered in time."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from tests.apps.facts.released import Released
from tests.apps.facts.table import Facts


def routes(release: Released, facts: Facts) -> Iterator[str]:
    """Every address leads to a service that answers it."""
    for step in release.plan.verify.steps:
        if step.request:
            method, url = step.request.method, urlsplit(step.request.url)
            service = _service(release, url.port or 80)
            asked = f"{method} {url.path or '/'}"
            if not any(_answers(known, asked) for known in facts.routes.get(service, ())):
                yield f"verify: {service or 'no service'} does not answer {asked} ({url.netloc})"


def proof(release: Released, facts: Facts) -> Iterator[str]:
    """verify does what the app is for; without a card it does not ask for one."""
    steps = [
        " ".join((*step.command, step.log, *_request(step.request)))
        for step in release.plan.verify.steps
    ]
    for part in facts.proof:
        is_of_card = "cuda" in part and release.variant == "without_gpu"
        if not is_of_card and not any(part in step for step in steps):
            yield f"verify lacks {part}"


def site(release: Released, facts: Facts) -> Iterator[str]:
    nginx = release.app.block.nginx
    paths = {path.removeprefix("= "): one for path, one in nginx.paths.items()} if nginx else {}
    for path, upstream in facts.site.items():
        if path not in paths or paths[path].upstream != upstream:
            yield f"the site does not lead {path} to {upstream}"


def disk(release: Released, facts: Facts) -> Iterator[str]:
    most = facts.disk_gb.get(release.variant)
    if most and release.plan.build.disk_gb > most:
        yield f"{release.plan.build.disk_gb:g} GB of disk are wanted, of {most}"


def _request(request: object) -> tuple[str, ...]:
    method, url = getattr(request, "method", ""), getattr(request, "url", "")
    return (f"{method} {urlsplit(url).path}",)


def _answers(known: str, asked: str) -> bool:
    return asked.startswith(known[:-1]) if known.endswith("*") else asked == known


def _service(release: Released, port: int) -> str:
    """Who publishes a port of the host."""
    return next(
        (
            name
            for name, section in release.services.items()
            for published in section.get("ports") or ()
            if str(published.get("published")) == str(port)
        ),
        "",
    )
