"""Releases and apps of a fleet, as tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gpuhost.domain.plain_text import plain
from gpuhost.fleet.host_pool import HostError
from gpuhost.fleet.releases import AppReport, FleetApps, HostApps, RunState
from gpuhost.outputs.clock import minute
from gpuhost.outputs.fleet import print_reason, styled_status
from gpuhost.runner.contract import RESTORE_FAILED, UNDONE, VERIFIED

if TYPE_CHECKING:
    from gpuhost.snapshot.app_state import AppState, ReleaseState

RUN_STATE_STYLES = {RunState.RUNNING: "green", RunState.STARTING: "yellow"}
# Characters of a commit id that are shown.
SHORT = 12


def print_releases(fleet: FleetApps, console: Console) -> None:
    """A table for each host that has the app; `*` marks the current release."""
    for host in fleet.hosts:
        if host.error:
            _print_error(host.host, host.error, console)
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
            Text(plain(describe_result(release, state)), style=_style(release)),
        )
    return grid


def _revision(release: ReleaseState) -> Text:
    rollback = f"rollback to {release.rollback_of}" if release.rollback_of else ""
    return Text(plain(rollback or release.revision[:SHORT]))


def _style(release: ReleaseState) -> str:
    if release.result is None:
        return "yellow"
    return "green" if release.verified else "bold red"


def print_status(fleet: FleetApps, console: Console) -> None:
    """One table of every app on every host; under it what is in progress, interrupted or failed."""
    grid = _table(None, "host", "app", "state", "release", "since (UTC)", "containers")
    for host in fleet.hosts:
        for row in _rows(host):
            grid.add_row(*row)
    if grid.row_count:
        console.print(grid)
    for host in fleet.hosts:
        if host.error:
            _print_error(host.host, host.error, console)
        for app in host.apps:
            for note in _notes(app):
                line = Text(plain(f"{host.host}: {app.state.name}: {note}"))
                console.print(line, soft_wrap=True)


def _rows(host: HostApps) -> Iterator[list[Text]]:
    name = Text(plain(host.host))
    if host.error:
        yield [name, Text(), styled_status(host.error.status), Text(), Text(), Text()]
    elif not host.apps:
        yield [name, Text("-"), Text("no app", style="dim"), Text(), Text(), Text()]
    for app in host.apps:
        current = app.state.current_release
        yield [
            name,
            Text(plain(app.state.name)),
            Text(app.run_state.value, style=RUN_STATE_STYLES.get(app.run_state, "bold red")),
            Text(plain(app.state.current or "none")),
            _ended(current) if current else Text(),
            Text("\n".join(_containers(app))),
        ]


def _containers(app: AppReport) -> Iterator[str]:
    for container in app.containers:
        yield plain(f"{container.service or container.name}: {container.status or container.state}")


def _notes(app: AppReport) -> Iterator[str]:
    if app.engine_complaint:
        yield f"the container engine does not answer: {app.engine_complaint}"
    if operation := app.state.under_way:
        yield f"in progress: {operation.sentence}"
    if operation := app.state.cut_off:
        yield (
            f"interrupted: {operation.sentence}; the next run or reboot finishes or undoes it; "
            f"gpuhost abort INVENTORY {app.state.name} undoes it now"
        )
    if (failed := app.failed) and failed.id != app.state.current:
        yield f"the last release, {failed.id}, {describe_result(failed, app.state)}"


def describe_result(release: ReleaseState, state: AppState) -> str:
    """The result of a release, in one line."""
    result = release.result
    if result is None:
        operation = state.under_way
        return "in progress" if operation and operation.id == release.id else "interrupted"
    if result.state == VERIFIED:
        return VERIFIED
    stage = result.stage or "an unknown stage"
    failed = f"failed in {stage}: {result.said or result.state}"
    parts = [f"aborted by {result.aborted_by} in {stage}" if result.aborted_by else failed]
    if result.restored:
        parts.append(f"rolled back to {result.restored}")
    if result.state == UNDONE:
        parts.append("it is stopped")
    if result.state == RESTORE_FAILED:
        parts.append(f"THE PREVIOUS RELEASE COULD NOT BE RESTORED: {result.restore_said}")
    return "; ".join(parts)


def _ended(release: ReleaseState) -> Text:
    return Text(minute(release.result.ended) if release.result else "")


def _table(title: str | None, *headings: str) -> Table:
    grid = Table(title=title and Text(plain(title)), title_justify="left")
    for heading in headings:
        grid.add_column(heading, overflow="fold")
    return grid


def _print_error(host: str, error: HostError, console: Console) -> None:
    print_reason(host, error.status, error.reason, error.fix, console)
