"""The steps by which a release is verified, with names that read well and where else to ask."""

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
LONGEST = 60
LOOPBACK = ("127.0.0.1", "localhost", "::1")
PORTS = {"http": 80, "https": 443}


def steps_for(app: App, choice: ChosenVariant) -> tuple[plan.VerifyStep, ...]:
    """The steps of this variant, in order. What it leaves out is not asked. Raises BadApp."""
    return tuple(_step(step, app) for step in _of_variant(app, choice))


def _of_variant(app: App, choice: ChosenVariant) -> Iterator[declared.Step]:
    variant = "with_gpu" if choice.with_gpu else "without_gpu"
    for step in app.block.verify.steps:
        inside = step.log or step.command
        elsewhere = inside is not None and _is_of_other_variant(inside.service, app, choice)
        asked = step.health or step.request or inside
        if asked and asked.only in (None, variant) and not elsewhere:
            yield step


def _is_of_other_variant(name: str, app: App, choice: ChosenVariant) -> bool:
    """Whether a service is left out here, or has a profile that the other variant switches on."""
    block = app.block
    others = {*block.with_gpu.profiles, *(block.without_gpu.profiles if block.without_gpu else ())}
    profiles = set(app.compose.services[name].profiles)
    is_off = bool(profiles & others) and not profiles & set(choice.profiles)
    return name in choice.leave_out or is_off


def _step(step: declared.Step, app: App) -> plan.VerifyStep:
    if step.health:
        health = step.health
        return _requested(f"GET {health.url}", health, app)
    if step.request:
        one = step.request
        then = f", and what {one.then} names" if one.then else ""
        return _requested(f"{one.method} {one.url}{then}", one, app)
    if step.log:
        line = step.log
        name = f"the log of {line.service}: {_short(line.matches)}"
        return convert(plan.VerifyStep, line, name=name, log=line.matches)
    assert step.command is not None
    return _command(step.command)


def _command(command: declared.Command) -> plan.VerifyStep:
    words = " ".join(command.run)
    what = "torch sees the GPU" if TORCH in words else _short(words)
    name = f"{what}, in {command.service}"
    return convert(plan.VerifyStep, command, name=name, command=command.run)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


def _requested(name: str, asked: declared.Health | declared.Request, app: App) -> plan.VerifyStep:
    request = convert(plan.Request, asked)
    through = _through(asked.url, app)
    return convert(plan.VerifyStep, asked, name=name, request=request, through=through)


def _through(url: str, app: App) -> str:
    """The site's address, if it passes this request on to where it is asked; else ""."""
    site = app.block.nginx
    if site is None:
        return ""
    parts = urlsplit(url)
    asked = f"{parts.hostname}:{parts.port or PORTS[parts.scheme]}"
    upstream = _upstream(parts.path or "/", site)
    if (
        parts.hostname not in LOOPBACK
        or upstream is None
        or asked not in _seen(upstream, site, app)
    ):
        return ""
    scheme = "https" if site.tls else "http"
    port = public_port(app, site.tls_port if site.tls else site.port)
    if port is None:
        return ""
    return f"{scheme}://{_name(site)}" + ("" if port == PORTS[scheme] else f":{port}")


def _upstream(path: str, site: Nginx) -> str | None:
    """Where nginx passes a path on to; None where a regular expression may decide that."""
    regexes = [at for where, at in site.paths.items() if where.startswith("~")]
    if any(at.upstream for at in regexes):
        return None
    exact = site.paths.get(f"= {path}")
    if exact:
        return exact.upstream or site.upstream
    prefixes = {re.sub(r"^\^~ ", "", where): at for where, at in site.paths.items()}
    # "/api/" stands for "/api" too.
    fitting = [p for p in prefixes if path.startswith(p) or path == p.removesuffix("/")]
    longest = max(fitting, key=len, default=None)
    return (prefixes[longest].upstream if longest else None) or site.upstream


def _seen(upstream: str, site: Nginx, app: App) -> set[str]:
    """The addresses on the host's loopback interface where an upstream is found."""
    name, _, port = upstream.rpartition(":")
    if site.where == "host":
        return {f"{one}:{port}" for one in LOOPBACK} if name in LOOPBACK else {upstream}
    found = (min(ports) for ports in published_ports(app, name, int(port)) if ports)
    return {f"{one}:{port}" for port in found for one in LOOPBACK}


def _name(site: Nginx) -> str:
    """A name that the site answers to."""
    name = site.server_names[0]
    return "localhost" if name == ANY_NAME else name.replace("*", "www").strip(".")
