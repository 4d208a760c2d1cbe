"""A drift report as one page of HTML: no script, no network, text from hosts is escaped."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gpuhost.domain.plain_text import cut, plain
from gpuhost.drift.difference import Cause
from gpuhost.drift.files import replace
from gpuhost.drift.report import STATUSES, DriftReport
from gpuhost.fleet.host_status import HostStatus
from gpuhost.outputs.clock import minute
from gpuhost.outputs.drift import summarize_findings
from gpuhost.outputs.drift_grid import SIGNS, New, cell_kind, headline, nouns, rows, spread, totals

# With more hosts, those that are ok and most details are folded.
SMALL = 20


def page(report: DriftReport, *, new: New = frozenset()) -> str:
    """The whole page. The same report makes the same bytes.

    + new: host and finding id of what is new since the previous run
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
            ok_rows=[row for row in hosts if row.host.status is HostStatus.OK],
            spread=spread(report),
        )
    )


@cache
def _environment() -> Environment:
    """An environment that escapes every value, unlike that for configuration files."""
    environment = Environment(
        loader=PackageLoader("gpuhost"),
        undefined=StrictUndefined,
        autoescape=True,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "minute": minute,
        "summarize_findings": summarize_findings,
        "cell_kind": cell_kind,
        "css_class": css_class,
    }
    environment.globals |= {"SIGNS": SIGNS, "SMALL": SMALL, "CAUSES": _CAUSES}
    environment.globals |= {"STATUSES": STATUSES, "HostStatus": HostStatus}
    return environment


_CAUSES = {cause: f"{cause.value}: {SIGNS[cause.value][1]}" for cause in Cause}


def css_class(kind: str) -> str:
    """ "never applied" -> "never-applied"."""
    return kind.replace(" ", "-")


def _clean(value: Any) -> Any:
    """Every text on the page: without control characters, and of limited length."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return plain(cut(value))


def write(path: Path, text: str) -> None:
    """Replace the page; a web server can read it. Raises OSError."""
    replace(path, text, mode=0o644)
