"""An app with its secrets and source, resolved once per run, before any host is changed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import Lock
from weakref import WeakKeyDictionary

from pyinfra.api import State

from gpuhost.appfile.app import App
from gpuhost.appfile.errors import BadApp
from gpuhost.appfile.loading import OWN, PACKAGED, complete, find, load
from gpuhost.release.archive import BadDirectory
from gpuhost.release.git import BadGit
from gpuhost.release.git_files import commit_files
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
            run.apps[name] = resolve(load(find(name)))
        return run.apps[name]


def known_apps() -> list[str]:
    """Apps that can be released: the user's own and the packaged ones."""
    return sorted({path.stem for place in (OWN, PACKAGED) for path in place.glob("*.yaml")})


def resolve(app: App) -> ResolvedApp:
    """Its secrets, the revision of its source, and the files there. Raises BadApp."""
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
        source = resolve_source(app, secrets)
        app = app if app.is_complete else _with_repository(app, secrets, source.revision)
    except (BadSource, BadDirectory) as error:
        return ResolvedApp(app, secrets, None, errors, (*errors, str(error)))
    except BadApp as error:
        raise BadApp([*error.lines, *errors]) from None
    return ResolvedApp(app, secrets, replace(source, overlay=overlay), errors, errors)


def _with_repository(app: App, secrets: GivenSecrets, commit: str) -> App:
    """Raises BadSource or BadApp."""
    assert app.block.source
    try:
        with commit_files(app.block.source, secrets, commit) as files:
            return complete(app, files)
    except BadGit as error:
        raise BadSource(str(error)) from error
