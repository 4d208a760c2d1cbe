"""Releases and apps of a fleet, for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gpuhost.domain.plain_text import (
    plain,
)
from gpuhost.fleet.host_pool import HostError
from gpuhost.fleet.releases import AppReport, FleetApps, HostApps, Running, outcome
from gpuhost.outputs.clock import minute
from gpuhost.outputs.fleet import print_reason, status_in_colour
from gpuhost.snapshot.apps import AppState, Attempt, Release

RUNNING_STYLES = {Running.RUNNING: "green", Running.STARTING: "yellow"}
# Of a commit as much as git shows.
SHORT = 12


def print_releases(fleet: FleetApps, console: Console) -> None:
    """A table for each host that has the app; its current release is marked."""
    for host in fleet.hosts:
        if host.trouble:
            _trouble(host.host, host.trouble, console)
        elif not host.apps:
            console.print(Text(f"{plain(host.host)}: no app {plain(fleet.name or '')}"))
        for app in host.apps:
            console.print(_releases(host.host, app.state))


def _releases(host: str, state: AppState) -> Table:
    grid = _table(f"{host}: {state.name}", "", "release", "when (UTC)", "by", "revision", "result")
    for release in state.releases:
        current = release.id == state.current
        grid.add_row(
            "*" if current else "",
            Text(plain(release.id), style="bold" if current else ""),
            _ended(release),
            Text(plain(release.by)),
            _revision(release),
            Text(plain(outcome(release, state)), style=_style(release)),
        )
    return grid


def _revision(release: Release) -> Text:
    back = f"rollback to {release.rollback_of}" if release.rollback_of else release.revision[:SHORT]
    return Text(plain(back))


def _style(release: Release) -> str:
    if release.result is None:
        return "yellow"
    return "green" if release.verified else "bold red"


def print_status(fleet: FleetApps, console: Console) -> None:
    """One table of every app on every host; under it what is under way, cut off or failed."""
    grid = _table(None, "host", "app", "state", "release", "since (UTC)", "containers")
    for host in fleet.hosts:
        for row in _rows(host):
            grid.add_row(*row)
    if grid.row_count:
        console.print(grid)
    for host in fleet.hosts:
        if host.trouble:
            _trouble(host.host, host.trouble, console)
        for app in host.apps:
            for note in _notes(app):
                line = Text(plain(f"{host.host}: {app.state.name}: {note}"))
                console.print(line, soft_wrap=True)


def _rows(host: HostApps) -> Iterator[list[Text]]:
    name = Text(plain(host.host))
    if host.trouble:
        yield [name, Text(), status_in_colour(host.trouble.status), Text(), Text(), Text()]
    elif not host.apps:
        yield [name, Text("-"), Text("no app", style="dim"), Text(), Text(), Text()]
    for app in host.apps:
        current = app.state.current_release
        yield [
            name,
            Text(plain(app.state.name)),
            Text(app.running.value, style=RUNNING_STYLES.get(app.running, "bold red")),
            Text(plain(app.state.current or "none")),
            _ended(current) if current else Text(),
            Text("\n".join(_containers(app))),
        ]


def _containers(app: AppReport) -> Iterator[str]:
    for container in app.containers:
        yield plain(f"{container.service or container.name}: {container.status or container.state}")


def _notes(app: AppReport) -> Iterator[str]:
    if app.engine_complaint:
        yield f"the engine does not answer: {app.engine_complaint}"
    if attempt := app.state.under_way:
        yield f"under way: {in_words(attempt)}"
    if attempt := app.state.cut_off:
        yield f"cut off: {in_words(attempt)}; the next run, or a restart of the host, finishes it"
    if (failed := app.failed) and failed.id != app.state.current:
        yield f"the last release, {failed.id}, {outcome(failed, app.state)}"


def in_words(attempt: Attempt) -> str:
    """ "release 20261122-010203-aabbccdd by ann@desk, since 2026-11-22 01:02"."""
    by = f" by {attempt.by}" if attempt.by else ""
    since = f", since {minute(attempt.started)}" if attempt.started else ""
    return f"{attempt.kind} {attempt.id}{by}{since}"


def _ended(release: Release) -> Text:
    return Text(minute(release.result.ended) if release.result else "")


def _table(title: str | None, *headings: str) -> Table:
    grid = Table(title=title and Text(plain(title)), title_justify="left")
    for heading in headings:
        grid.add_column(heading, overflow="fold")
    return grid


def _trouble(host: str, trouble: HostError, console: Console) -> None:
    print_reason(host, trouble.status, trouble.reason, trouble.fix, console)
