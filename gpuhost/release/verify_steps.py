"""The steps that verify a release: their names, and the public address to repeat a request at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from gpuhost.appfile import verify as declared
from gpuhost.appfile.app import App
from gpuhost.appfile.nginx import Nginx
from gpuhost.release.conversion import convert
from gpuhost.release.site import ANY_NAME, public_port, published_ports
from gpuhost.release.variant import ChosenVariant
from gpuhost.runner import plan

TORCH = "torch.cuda.is_available"
MAX_LENGTH = 60
LOOPBACK = ("127.0.0.1", "localhost", "::1")
PORTS = {"http": 80, "https": 443}


def verify_steps(app: App, variant: ChosenVariant) -> tuple[plan.VerifyStep, ...]:
    """The steps of this variant, in order. Raises BadApp."""
    return tuple(_step(step, app) for step in _of_variant(app, variant))


def _of_variant(app: App, variant: ChosenVariant) -> Iterator[declared.Step]:
    name = "with_gpu" if variant.with_gpu else "without_gpu"
    for step in app.block.verify.steps:
        in_service = step.log or step.command
        is_off = in_service is not None and not _is_started(in_service.service, app, variant)
        one = step.health or step.request or in_service
        if one and one.only in (None, name) and not is_off:
            yield step


def _is_started(service: str, app: App, variant: ChosenVariant) -> bool:
    """False for a service that is left out, or whose profile only the other variant enables."""
    block = app.block
    known = {*block.with_gpu.profiles, *(block.without_gpu.profiles if block.without_gpu else ())}
    of_service = app.compose.services[service]
    is_enabled = not known.intersection(of_service.profiles) or of_service.is_started(
        variant.profiles
    )
    return is_enabled and service not in variant.leave_out


# The names are a part of the plan, and so of its hash of inputs: other words make a new release.
def _step(step: declared.Step, app: App) -> plan.VerifyStep:
    if step.health:
        return _request_step(f"GET {step.health.url}", step.health, app)
    if step.request:
        request = step.request
        then = f", and what {request.then} names" if request.then else ""
        return _request_step(f"{request.method} {request.url}{then}", request, app)
    if step.log:
        line = step.log
        name = f"the log of {line.service}: {_short(line.matches)}"
        return convert(plan.VerifyStep, line, name=name, log=line.matches)
    assert step.command is not None
    return _command_step(step.command)


def _command_step(command: declared.Command) -> plan.VerifyStep:
    words = " ".join(command.run)
    what = "torch sees the GPU" if TORCH in words else _short(words)
    name = f"{what}, in {command.service}"
    return convert(plan.VerifyStep, command, name=name, command=command.run)


def _request_step(
    name: str, declaration: declared.Health | declared.Request, app: App
) -> plan.VerifyStep:
    request = convert(plan.HttpRequest, declaration)
    through = _site_address(declaration.url, app)
    return convert(plan.VerifyStep, declaration, name=name, request=request, through=through)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_LENGTH else f"{line[:MAX_LENGTH]}…"


def _site_address(url: str, app: App) -> str:
    """The site's address, if its nginx forwards this request to the same port; else ""."""
    site = app.block.nginx
    if site is None:
        return ""
    parts = urlsplit(url)
    address = f"{parts.hostname}:{parts.port or PORTS[parts.scheme]}"
    upstream = _upstream(parts.path or "/", site)
    if parts.hostname not in LOOPBACK or upstream is None:
        return ""
    if address not in _loopback_addresses(upstream, site, app):
        return ""
    scheme = "https" if site.tls else "http"
    port = public_port(app, site.tls_port if site.tls else site.port)
    if port is None:
        return ""
    return f"{scheme}://{_server_name(site)}" + ("" if port == PORTS[scheme] else f":{port}")


def _upstream(path: str, site: Nginx) -> str | None:
    """The upstream of a path; None where a regular expression may choose it."""
    regexes = [options for location, options in site.paths.items() if location.startswith("~")]
    if any(options.upstream for options in regexes):
        return None
    exact = site.paths.get(f"= {path}")
    if exact:
        return exact.upstream or site.upstream
    prefixes = {re.sub(r"^\^~ ", "", where): options for where, options in site.paths.items()}
    # "/api/" also matches "/api".
    matching = [p for p in prefixes if path.startswith(p) or path == p.removesuffix("/")]
    longest = max(matching, key=len, default=None)
    return (prefixes[longest].upstream if longest else None) or site.upstream


def _loopback_addresses(upstream: str, site: Nginx, app: App) -> set[str]:
    """The addresses on the host's loopback interface that lead to an upstream."""
    name, _, port = upstream.rpartition(":")
    if site.where == "host":
        return {f"{host}:{port}" for host in LOOPBACK} if name in LOOPBACK else {upstream}
    published = (min(ports) for ports in published_ports(app, name, int(port)) if ports)
    return {f"{host}:{port}" for port in published for host in LOOPBACK}


def _server_name(site: Nginx) -> str:
    """One of the site's server names, without wildcards."""
    name = site.server_names[0]
    return "localhost" if name == ANY_NAME else name.replace("*", "www").strip(".")
