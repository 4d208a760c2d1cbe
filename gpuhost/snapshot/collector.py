"""The script that reads a host: collector.sh, and what the readers declare as its probes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache, lru_cache, reduce
from importlib import import_module
from importlib.resources import files
from math import inf
from operator import or_
from pkgutil import iter_modules
from shlex import quote

from gpuhost import snapshot
from gpuhost.snapshot.request import ProbeCommand, Request

PATIENCE = 60


@cache
def readers_request() -> Request:
    """What every reader of this package declares, whatever the settings."""
    names = (module.name for module in iter_modules(snapshot.__path__))
    modules = (import_module(f"{snapshot.__name__}.{name}") for name in names)
    requests = (getattr(module, "REQUEST", Request()) for module in modules)
    return reduce(or_, requests, Request())


@lru_cache(maxsize=8)
def script(request: Request, patience: int = PATIENCE) -> str:
    """The collector for this request, as a POSIX shell reads it from stdin.

    + request: what is read in addition to what the readers declare
    + patience: seconds for what may take long, nvidia-smi on many cards; all else takes less
    """
    whole = readers_request() | request
    first = "\n".join(_render(whole, [probe for probe in whole.probes if not probe.last]))
    last = "\n".join(_render(whole, [probe for probe in whole.probes if probe.last]))
    return (
        f"{_collector()}\npatience={patience}\nrun_probes() {{\n{first}\n}}\n"
        f"run_last_probes() {{\n{last}\n}}\nmain </dev/null\n"
    )


@cache
def _collector() -> str:
    return files(snapshot).joinpath("collector.sh").read_text(encoding="utf-8")


def _render(request: Request, probes: Iterable[ProbeCommand]) -> Iterator[str]:
    """Lines of shell. What may take longest begins first; a condition is tested once."""
    groups: dict[str, list[str]] = {}
    for probe in sorted(probes, key=lambda probe: probe.seconds or inf, reverse=True):
        if line := _render_line(request, probe):
            groups.setdefault(probe.only_if, []).append(line)
    for condition, lines in groups.items():
        yield "\n".join([f"if {condition}; then", *lines, "fi"] if condition else lines)


def _render_line(request: Request, probe: ProbeCommand) -> str:
    """ "": the probe has no arguments, so it is not run."""
    words = getattr(request, probe.arguments) if probe.arguments else ()
    if probe.arguments and not words:
        return ""
    limit = '"$patience"' if probe.seconds is None else str(probe.seconds)
    head = f"at_once {probe.name}" if probe.at_once else f"probe {probe.name} {limit}"
    return " ".join([head, probe.command, *map(quote, sorted(words))])
