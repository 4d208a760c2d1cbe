"""An app with its secrets and source, resolved once per run, before any host is changed."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from threading import Lock
from weakref import WeakKeyDictionary

from pyinfra.api import State

from gpuhost.appfile.app import App
from gpuhost.appfile.loading import OWN, PACKAGED, find, load
from gpuhost.release.archive import BadDirectory
from gpuhost.release.build_context import BuildContext
from gpuhost.release.contexts import additional_contexts
from gpuhost.release.overlay import read_overlay
from gpuhost.release.secrets import BadSecrets, GivenSecrets, collect_secrets
from gpuhost.release.source import BadSource, ResolvedSource, resolve_source


@dataclass(frozen=True)
class ResolvedApp:
    """An app with its secrets and the present revision of its source.

    + source: None if it could not be resolved
    + secret_errors: errors of the secrets, a line each
    + errors: all errors, also those of the secrets, a line each
    """

    app: App
    secrets: GivenSecrets
    source: ResolvedSource | None
    secret_errors: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


@dataclass
class _Run:
    lock: Lock = field(default_factory=Lock)
    apps: dict[str, ResolvedApp] = field(default_factory=dict)


# By run: every host gets the revision and the secrets that were planned.
_runs: WeakKeyDictionary[State, _Run] = WeakKeyDictionary()


def resolve_app(state: State, name: str) -> ResolvedApp:
    """The app of that name; the first host that asks resolves it for the others.

    Raises BadApp.
    """
    run = _runs.setdefault(state, _Run())
    with run.lock:
        if name not in run.apps:
            run.apps[name] = _resolve(load(find(name)))
        return run.apps[name]


def known_apps() -> list[str]:
    """Apps that can be released: the user's own and the packaged ones."""
    return sorted({path.stem for place in (OWN, PACKAGED) for path in place.glob("*.yaml")})


def _resolve(app: App) -> ResolvedApp:
    errors: tuple[str, ...] = ()
    try:
        secrets = collect_secrets(app.block, app.path)
    except BadSecrets as error:
        secrets, errors = error.others, error.lines
    used = {app.block.source.deploy_key, app.block.source.token} if app.block.source else set()
    if any(name and name not in secrets.values for name in used):
        # Without its secret, the repository would only answer that a login is needed.
        return ResolvedApp(app, secrets, None, errors, errors)
    try:
        overlay = read_overlay(app)
        source = resolve_source(
            app.block.source,
            secrets,
            path=app.path,
            text=app.text,
            contexts=tuple(build_contexts(app)),
        )
    except (BadSource, BadDirectory) as error:
        return ResolvedApp(app, secrets, None, errors, (*errors, str(error)))
    return ResolvedApp(app, secrets, replace(source, overlay=overlay), errors, errors)


def build_contexts(app: App) -> Iterator[BuildContext]:
    """The directories of the source that images are built from."""
    for base in app.block.build.bases.values():
        yield BuildContext(base.context, base.dockerfile)
    for service in app.compose.services.values():
        if service.build and service.build.is_of_source:
            yield BuildContext(service.build.context, service.build.dockerfile)
        others = additional_contexts(service.written.get("build"))
        # Each has its own .dockerignore.
        yield from (BuildContext(posixpath.normpath(path)) for path in others.values())
