"""Stops the app, and exchanges its data for the restored data, or back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from gpuhost.runner.data.staging import servers
from gpuhost.runner.data.stored import Stored
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.commands import run
from gpuhost.runner.lib.failure import Failure, temporary
from gpuhost.runner.lib.log import Log
from gpuhost.runner.stages.engine import as_failure
from gpuhost.runner.stages.restore_state import State, StateJournal
from gpuhost.runner.state.release import Release

STOP_S = 30
RUNNING = '{{.ID}} {{.Label "com.docker.compose.service"}}'


def exchange_data(release: Release, backup: Stored, journal: StateJournal) -> None:
    """Put the restored data in place. Raises Failure or OSError."""
    stop_app(release, backup)
    number = 0
    for number, exchange in enumerate(journal.state.exchanges, start=1):
        begin, is_begun = partial(_begin, journal, number), journal.state.is_begun(number)
        exchange.put_in_place(release.app, begin, is_begun=is_begun)
    for item, server in servers(release, backup):
        # An abort would end `docker exec` alone: PostgreSQL would go on with it.
        with abort.cleanup():
            server.swap(partial(_begin, journal, number + 1))
        release.log.write(f"{item.name}: in place")


def _begin(journal: StateJournal, number: int) -> None:
    if not journal.state.is_begun(number):
        journal.store(begun=number)


def exchange_back(release: Release, backup: Stored, state: State) -> None:
    """Undo each exchange that was begun, also if another one cannot be undone. Raises Failure."""
    stop_app(release, backup)
    exchanges = list(enumerate(state.exchanges, start=1))
    undos: list[Callable[[], None]] = []
    errors: list[Exception] = []
    if state.is_begun(len(exchanges) + 1):
        with _collected(release.log, errors):
            for _, server in servers(release, backup):
                undos.append(server.swap_back)
    undos += [
        partial(exchange.undo, release.app)
        for number, exchange in reversed(exchanges)
        if state.is_begun(number)
    ]
    for undo in undos:
        with _collected(release.log, errors):
            undo()
    if errors:
        said = "; ".join(as_failure(error).said for error in errors)
        raise Failure(said) from next(filter(None, map(temporary, errors)), None)


@contextmanager
def _collected(log: Log, errors: list[Exception]) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        errors.append(error)
        failure = as_failure(error)
        log.write(f"not undone: {failure.said}" + (failure.fix and f"; {failure.fix}"))


def stop_app(release: Release, backup: Stored) -> None:
    """Stop all containers except database servers, whose data is exchanged inside them."""
    databases = {item.service for item in backup.manifest.items if item.kind == "postgres"}
    project = f"label=com.docker.compose.project={release.plan.project}"
    words = ("docker", "ps", "--no-trunc", "--format", RUNNING, "--filter", project)
    listed = run(release.log, *words, seconds=60, what="docker ps", quiet=True)
    containers = (line.split() for line in listed.splitlines())
    # By label: a person may have started a service of another profile.
    writers = [container for container, *service in containers if not databases & set(service)]
    if writers:
        what, seconds = "stopping the app", STOP_S + 90
        run(release.log, "docker", "stop", "-t", str(STOP_S), *writers, seconds=seconds, what=what)
