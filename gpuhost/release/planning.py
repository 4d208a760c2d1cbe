"""From an app, its variant and its host to the plan that the runner carries out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

from gpuhost.appfile import source as app_source
from gpuhost.appfile.app import App
from gpuhost.appfile.errors import BadApp
from gpuhost.appfile.nginx import Tls
from gpuhost.checks.host.build import build_arguments
from gpuhost.domain.nvidia.toolkits import driver_cuda
from gpuhost.release.cards import compute_capability
from gpuhost.release.conversion import convert
from gpuhost.release.override import render_override
from gpuhost.release.site import SitePaths, has_ipv6, render_site, site_paths
from gpuhost.release.variant import ChosenVariant, Reservation
from gpuhost.release.verify_steps import steps_for
from gpuhost.runner import plan
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

# Beside what has a limit of its own: fetching, pulling, nginx, cleaning up.
SPARE_S = 3600
# A migration's own start and a restore's verification come on top of what is declared.
TWICE = 2
# Docker's first version with healthcheck.start_interval.
START_INTERVAL_SINCE = 25
# They say who and when, what a run was allowed, and what the host's driver is; an app is the same
# without them.
NOT_INPUTS = ("id", "by", "inputs", "adopt", "variant", "gpu")


@dataclass(frozen=True)
class RenderedFiles:
    """The files of a release that are rendered here. nginx: None for an app without a site."""

    compose: bytes
    override: str
    nginx: str | None


def render_files(app: App, choice: ChosenVariant, snapshot: Snapshot) -> RenderedFiles:
    """The same texts for the same app, choice and host. Raises BadApp."""
    engine = snapshot.docker.engine
    early = engine is not None and _major(engine.version) >= START_INTERVAL_SINCE
    return RenderedFiles(
        app.text,
        render_override(app, choice, start_interval=early),
        render_site(app, ipv6=has_ipv6(snapshot)),
    )


def _major(version: str) -> int:
    number = version.partition(".")[0]
    return int(number) if number.isdigit() else 0


def plan_release(
    app: App,
    choice: ChosenVariant,
    settings: Settings,
    snapshot: Snapshot,
    *,
    revision: str,
    by: str,
    release_id: str = "",
) -> plan.Plan:
    """The plan of a release.

    + revision: of the source, resolved
    + by: who releases, user@machine
    + release_id: made on the host when the release begins; its end is that of `inputs`, which does
      not depend on it

    Raises BadApp: what the app file asks for cannot be.
    """
    block = app.block
    _refuse_unsafe_migration(app)
    made = convert(
        plan.Plan,
        block,
        app=app.name,
        id=release_id,
        inputs="",
        by=by,
        project=app.project,
        revision=revision,
        source=_source(block.source, revision),
        variant=choice.sentence,
        profiles=choice.profiles,
        leave_out=choice.leave_out,
        build=_build(app, settings),
        gpu=tuple(_gpu(service, one) for service, one in choice.reservations.items()),
        migrate_without_backup=block.migrate is not None and block.migrate.without_backup,
        verify=convert(plan.Verify, block.verify, steps=steps_for(app, choice)),
        nginx=_nginx(app),
        adopt=settings.adopt,
    )
    made = replace(made, limit_s=_limit(made, app))
    # The way to the packages is the host's, and no other one makes another release.
    way = {**build_arguments(settings, snapshot), **made.build.args}
    return replace(
        made,
        inputs=_inputs(made, render_files(app, choice, snapshot)),
        build=replace(made.build, args=way),
    )


def _refuse_unsafe_migration(app: App) -> None:
    migrate = app.block.migrate
    if migrate and not migrate.without_backup and app.block.backup is None:
        raise BadApp(
            [
                f"{app.path}: x-gpuhost.migrate: nothing is backed up before it; give backup, or "
                "migrate.without_backup: true"
            ]
        )


def _source(source: app_source.Source | None, revision: str) -> plan.Source | None:
    if source is None:
        return None
    if source.git is None:
        return plan.Source("archive", revision)
    return convert(plan.Source, source, kind="git", revision=revision, url=source.git)


def _build(app: App, settings: Settings) -> plan.Build:
    build = app.block.build
    return convert(
        plan.Build,
        build,
        args={**settings.build_args, **build.args},
        bases={tag: (base.context, base.dockerfile) for tag, base in build.bases.items()},
    )


def _gpu(service: str, reserved: Reservation) -> plan.Gpu:
    card = reserved.card
    cuda, has = driver_cuda(card.driver), compute_capability(card)
    return plan.Gpu(
        service,
        driver=str(card.driver),
        cuda=str(cuda) if cuda else "",
        brand=card.card.brand.value if card.card else "",
        compute_capability=str(has) if has else "",
    )


def _nginx(app: App) -> plan.Nginx | None:
    site = app.block.nginx
    if site is None:
        return None
    paths = site_paths(app)
    return convert(plan.Nginx, site, path=paths.file, **_certificate(site.tls, paths))


def _certificate(tls: Tls | None, paths: SitePaths) -> dict[str, Any]:
    """The plan's fields for `nginx.tls`."""
    if tls is None:
        return {}
    return {
        "certificate": tls.kind,
        "certificate_dir": paths.certificates,
        "email": tls.email or "",
        "certificate_secret": tls.certificate,
        "key_secret": tls.key,
    }


def _limit(made: plan.Plan, app: App) -> int:
    """How long all of it may take, in seconds: the limits of its parts, and some to spare."""
    built = [service for service in app.compose.services.values() if service.build]
    builds = (len(built) + len(made.build.bases)) * made.build.step_limit_s
    backup = made.backup.limit_s if made.backup else 0
    migrate = made.migrate.limit_s if made.migrate else 0
    verified = made.verify.start_s + TWICE * sum(step.within_s for step in made.verify.steps)
    return builds + backup + migrate + TWICE * verified + SPARE_S


def _inputs(made: plan.Plan, texts: RenderedFiles) -> str:
    """The hash of all that decides the release."""
    # As plan.json spells them: a field that gets another name there makes no new release.
    values: dict[str, Any] = json.loads(made.text())
    decided = {name: value for name, value in values.items() if name not in NOT_INPUTS}
    parts = (
        json.dumps(decided, sort_keys=True, ensure_ascii=False).encode(),
        texts.compose,
        texts.override.encode(),
        (texts.nginx or "").encode(),
    )
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
