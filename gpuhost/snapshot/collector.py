"""The script that reads a host: collector.sh, and what the readers declare as its probes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from importlib import import_module
from importlib.resources import files
from itertools import groupby
from math import inf
from pkgutil import iter_modules
from shlex import quote

from gpuhost import snapshot
from gpuhost.remote.commands import insert_files
from gpuhost.snapshot.request import ProbeCommand, Request

PATIENCE = 60
# Seconds for all that is read at once, together.
AT_ONCE = 10


@cache
def readers_request() -> Request:
    """What every reader of this package declares, whatever the settings."""
    names = (module.name for module in iter_modules(snapshot.__path__))
    modules = (import_module(f"{snapshot.__name__}.{name}") for name in names)
    requests = (getattr(module, "REQUEST", Request()) for module in modules)
    return Request.union(requests)


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
    return insert_files(files(snapshot).joinpath("collector.sh").read_text(encoding="utf-8"))


def _render(request: Request, probes: Iterable[ProbeCommand]) -> Iterator[str]:
    """Lines of shell. What may take longest begins first; a condition is tested once."""
    lines = [(probe, line) for probe in probes if (line := _render_line(request, probe))]
    conditions = list(dict.fromkeys(probe.only_if for probe, _ in lines if probe.only_if))
    for number, condition in enumerate(conditions):
        yield f"only_{number}=; if {condition}; then only_{number}=1; fi"
    ordered = sorted(lines, key=lambda pair: _order(pair[0]))
    for seconds, group in groupby(ordered, key=lambda pair: _seconds(pair[0])):
        pairs = list(group)
        limit = "$patience" if seconds == inf else str(seconds)
        body = "\n".join(_body(pairs, conditions))
        bounded = f'limit={limit}\n{{\n{body}\n}} | expire "$limit" &'
        if all(probe.only_if for probe, _ in pairs):
            numbers = sorted({conditions.index(probe.only_if) for probe, _ in pairs})
            any_of = "".join(f"$only_{number}" for number in numbers)
            bounded = f'if [ "{any_of}" ]; then\n{bounded}\nfi'
        yield bounded


def _seconds(probe: ProbeCommand) -> float:
    return AT_ONCE if probe.at_once else probe.seconds or inf


def _order(probe: ProbeCommand) -> tuple[float, bool, str]:
    return -_seconds(probe), probe.at_once, probe.only_if


def _body(pairs: list[tuple[ProbeCommand, str]], conditions: list[str]) -> Iterator[str]:
    """Probes with one limit: those of their own, then all that is read at once."""
    yield from _conditional((pair for pair in pairs if not pair[0].at_once), conditions)
    if at_once := [pair for pair in pairs if pair[0].at_once]:
        yield from _conditional(_expected(at_once), conditions)
        yield from ("{", *_conditional(at_once, conditions), "} 2>/dev/null &")


def _expected(
    pairs: Iterable[tuple[ProbeCommand, str]],
) -> Iterator[tuple[ProbeCommand, str]]:
    for _, same in groupby((probe for probe, _ in pairs), key=lambda probe: probe.only_if):
        probes = list(same)
        yield probes[0], f"expect {' '.join(probe.name for probe in probes)}"


def _conditional(pairs: Iterable[tuple[ProbeCommand, str]], conditions: list[str]) -> Iterator[str]:
    for condition, same in groupby(pairs, key=lambda pair: pair[0].only_if):
        body = "\n".join(line for _, line in same)
        number = conditions.index(condition) if condition else None
        yield body if number is None else f'if [ "$only_{number}" ]; then\n{body}\nfi'


def _render_line(request: Request, probe: ProbeCommand) -> str:
    """ "": the probe has no arguments, so it is not run."""
    words = getattr(request, probe.arguments) if probe.arguments else ()
    if probe.arguments and not words:
        return ""
    how = "at_once" if probe.at_once else "probe"
    return " ".join([how, probe.name, probe.command, *map(quote, sorted(words))])
