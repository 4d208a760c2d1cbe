"""A drift report as one page of HTML: no script, no network, nothing of a host believed."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gpuhost.domain.plain_text import (
    plain,
)
from gpuhost.drift.difference import Cause
from gpuhost.drift.files import replace
from gpuhost.drift.report import DriftReport, Standing
from gpuhost.outputs.clock import minute
from gpuhost.outputs.drift import findings_in_words
from gpuhost.outputs.drift_grid import SIGNS, New, headline, nouns, rows, sign, spread, totals

# More than this of one text is no reading matter; `--json` has all of it.
LONGEST = 4000
# Fleets up to this size are shown whole; of larger ones, good hosts and most details are folded.
SMALL = 20


def page(report: DriftReport, *, new: New = frozenset()) -> str:
    """The whole page: the same report makes the same bytes.

    + new: (host, finding id) of what was not there in the run before
    """
    hosts = rows(report, new)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            headline=headline(report),
            totals=totals(report),
            version=version("gpuhost"),
            nouns=nouns(report),
            rows=hosts,
            good=[row for row in hosts if row.host.standing is Standing.OK],
            spread=spread(report),
        )
    )


@cache
def _environment() -> Environment:
    """Unlike that of configuration files, one that escapes whatever comes into a template."""
    environment = Environment(
        loader=PackageLoader("gpuhost"),
        undefined=StrictUndefined,
        autoescape=True,
        finalize=_readable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"minute": minute, "in_words": findings_in_words, "sign": sign}
    environment.globals |= {"SIGNS": SIGNS, "SMALL": SMALL, "CAUSES": _CAUSES, "Standing": Standing}
    return environment


_CAUSES = {cause: f"{cause.value}: {SIGNS[cause.value][1]}" for cause in Cause}


def _readable(value: Any) -> Any:
    """Every text on its way into the page: without control characters, and not endless."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    if len(value) > LONGEST:
        value = value[:LONGEST] + " … (cut off here; --json has all of it)"
    return plain(value.replace("\r\n", "\n").replace("\t", " "))


def write(path: Path, text: str) -> None:
    """Put a page where the old one is, for a web server to read. Raises OSError."""
    replace(path, text, mode=0o644)
