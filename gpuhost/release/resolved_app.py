"""What is to be released, wherever: found out once a run, for all hosts, before any is touched."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock
from weakref import WeakKeyDictionary

from pyinfra.api import State

from gpuhost.appfile.app import App
from gpuhost.appfile.loading import OWN, PACKAGED, find, load
from gpuhost.release.archive import BuildContext
from gpuhost.release.contexts import additional
from gpuhost.release.secrets import BadSecrets, Given, collect
from gpuhost.release.source import BadSource, Resolved, resolve


@dataclass(frozen=True)
class ResolvedApp:
    """An app with its secrets and the revision that its source has now.

    + source: None if it could not be resolved
    + secrets_missing: what is wrong with the secrets, a line each
    + wrong: what is wrong with anything, secrets included, a line each
    """

    app: App
    given: Given
    source: Resolved | None
    secrets_missing: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()


@dataclass
class _Run:
    lock: Lock = field(default_factory=Lock)
    found: dict[str, ResolvedApp] = field(default_factory=dict)


# A run's: what was planned is what is released, on the last host too.
_runs: WeakKeyDictionary[State, _Run] = WeakKeyDictionary()


def resolve_app(state: State, name: str) -> ResolvedApp:
    """The app of that name; the first host that asks finds it out for the others.

    Raises BadApp.
    """
    run = _runs.setdefault(state, _Run())
    with run.lock:
        if name not in run.found:
            run.found[name] = _resolve(load(find(name)))
        return run.found[name]


def known_apps() -> list[str]:
    """Names that can be released: the user's own, and those that gpuhost brings."""
    return sorted({path.stem for place in (OWN, PACKAGED) for path in place.glob("*.yaml")})


def _resolve(app: App) -> ResolvedApp:
    missing: tuple[str, ...] = ()
    try:
        given = collect(app.block, app.path)
    except BadSecrets as error:
        given, missing = error.found, error.lines
    needed = {app.block.source.deploy_key, app.block.source.token} if app.block.source else set()
    if any(name and name not in given.values for name in needed):
        # Without its key a repository would only answer that one is needed.
        return ResolvedApp(app, given, None, missing, missing)
    try:
        source = resolve(
            app.block.source,
            given,
            path=app.path,
            text=app.text,
            contexts=tuple(build_contexts(app)),
        )
    except BadSource as error:
        return ResolvedApp(app, given, None, missing, (*missing, str(error)))
    return ResolvedApp(app, given, source, missing, missing)


def build_contexts(app: App) -> Iterator[BuildContext]:
    """The directories of its source that images are built from."""
    for base in app.block.build.bases.values():
        yield BuildContext(base.context, base.dockerfile)
    for service in app.compose.services.values():
        if service.build and service.build.is_of_source:
            yield BuildContext(service.build.context, service.build.dockerfile)
        others = additional(service.written.get("build"))
        # Docker applies rules of their own to them.
        yield from (BuildContext(posixpath.normpath(path)) for path in others.values())
