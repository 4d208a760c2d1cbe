"""The plan for the runner, from an app, its variant and its host."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from gpuhost.appfile.app import App
from gpuhost.appfile.errors import BadApp
from gpuhost.appfile.nginx import Tls
from gpuhost.domain.nvidia.toolkits import driver_cuda
from gpuhost.plans.apt_cache import build_arguments
from gpuhost.release.cards import compute_capability
from gpuhost.release.compose_plan import compose_fields, refused_variables
from gpuhost.release.conversion import convert
from gpuhost.release.shipping import has_files
from gpuhost.release.site import SitePaths, has_ipv6, render_site, site_paths
from gpuhost.release.variant import ChosenVariant, Reservation
from gpuhost.release.verify_steps import verify_steps
from gpuhost.release.vram import Demand, demands
from gpuhost.runner import plan
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot

# For stages without their own limit: fetch, pull, nginx, cleanup.
SPARE_S = 3600
# The previous release is verified too, when it is restored.
RELEASE_AND_RESTORE = 2
# Not in the hash of inputs: who, when, `adopt` and the driver do not change the release.
NOT_INPUTS = ("id", "by", "inputs", "adopt", "variant", "gpu")


@dataclass(frozen=True)
class RenderedFiles:
    """The files of a release. nginx: None for an app without a site."""

    compose: bytes
    nginx: str | None


def render_files(app: App, snapshot: Snapshot) -> RenderedFiles:
    """The same files for the same app and host. Raises BadApp."""
    return RenderedFiles(app.text, render_site(app, ipv6=has_ipv6(snapshot)))


def plan_release(
    app: App,
    variant: ChosenVariant,
    settings: Settings,
    snapshot: Snapshot,
    *,
    revision: str,
    overlay: str = "",
    by: str,
    release_id: str = "",
) -> plan.Plan:
    """The plan of a release.

    + revision: of the source, resolved
    + overlay: the hash of its overlay; "": it has none
    + by: who releases, user@machine
    + release_id: known when the release starts; not part of `inputs`

    Raises BadApp: the app file asks for something impossible.
    """
    block = app.block
    errors = [*_unsafe_migration(app), *refused_variables(app, variant)]
    if errors:
        raise BadApp(errors)
    release = convert(
        plan.Plan,
        block,
        app=app.name,
        id=release_id,
        inputs="",
        by=by,
        project=app.project,
        revision=revision,
        source=_source(app, revision, overlay),
        variant=variant.sentence,
        profiles=variant.profiles,
        leave_out=variant.leave_out,
        build=_build(app, settings, variant.disk_gb),
        gpu=_gpus(app, variant, snapshot),
        verify=convert(plan.Verify, block.verify, steps=verify_steps(app, variant)),
        nginx=_nginx(app),
        adopt=settings.adopt,
        **compose_fields(app, variant),
    )
    release = replace(release, limit_s=_limit(release, app))
    # Added after the hash: another proxy or mirror makes no new release.
    build_args = {**build_arguments(settings, snapshot), **release.build.args}
    return replace(
        release,
        inputs=_inputs(release, render_files(app, snapshot)),
        build=replace(release.build, args=build_args),
    )


def _unsafe_migration(app: App) -> Iterator[str]:
    migrate = app.block.migrate
    if migrate and not migrate.without_backup and app.block.backup is None:
        yield (
            f"{app.path}: x-gpuhost.migrate: no backup before it: add backup, or set "
            "migrate.without_backup: true"
        )


def _source(app: App, revision: str, overlay: str) -> plan.Source | None:
    source = app.block.source
    if source is None:
        # Files that the Compose files name, if there are any.
        return plan.Source("archive", revision) if has_files(app) else None
    from_git = convert(plan.Source, source, kind="git", revision=revision, overlay=overlay)
    if source.git is not None:
        return from_git
    return plan.Source("archive", revision, overlay=overlay, edits=from_git.edits)


def _build(app: App, settings: Settings, disk_gb: float) -> plan.Build:
    build = app.block.build
    return convert(
        plan.Build,
        build,
        args={**settings.build_args, **build.args},
        bases={tag: (base.context, base.dockerfile) for tag, base in build.bases.items()},
        disk_gb=disk_gb,
    )


def _gpus(app: App, variant: ChosenVariant, snapshot: Snapshot) -> tuple[plan.Gpu, ...]:
    wanted: dict[str, Demand] = {}
    # Without the MIG devices no release is made: app.vram refuses it.
    with suppress(NotRead):
        wanted = {demand.service: demand for demand in demands(app, variant, snapshot)}
    return tuple(
        _gpu(service, reserved, wanted.get(service))
        for service, reserved in variant.reservations.items()
    )


def _gpu(service: str, reserved: Reservation, demand: Demand | None) -> plan.Gpu:
    card = reserved.card
    cuda, capability = driver_cuda(card.driver), compute_capability(card)
    return plan.Gpu(
        service,
        driver=str(card.driver),
        cuda=str(cuda) if cuda else "",
        brand=card.card.brand.value if card.card else "",
        compute_capability=str(capability) if capability else "",
        count=reserved.count if reserved.is_decided else None,
        device_ids=reserved.device_ids if reserved.is_decided else (),
        vram_gb=demand.gb if demand else 0,
        places=demand.places if demand else (),
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


def _limit(release: plan.Plan, app: App) -> int:
    """How long the release may take, in seconds: the limits of its parts and a reserve."""
    built = [service for service in app.compose.services.values() if service.build]
    builds = (len(built) + len(release.build.bases)) * release.build.step_limit_s
    backup = release.backup.limit_s if release.backup else 0
    migrate = release.migrate.limit_s if release.migrate else 0
    verified = release.verify.start_s + RELEASE_AND_RESTORE * sum(
        step.within_s for step in release.verify.steps
    )
    return builds + backup + migrate + RELEASE_AND_RESTORE * verified + SPARE_S


def _inputs(release: plan.Plan, files: RenderedFiles) -> str:
    """The hash of everything that decides a release."""
    # The names in plan.json: a field that is renamed in Python makes no new release.
    values: dict[str, Any] = plan.as_json(release)
    inputs = {name: value for name, value in values.items() if name not in NOT_INPUTS}
    inputs["cards"] = [[gpu.service, gpu.count, gpu.device_ids] for gpu in release.gpu]
    parts = (
        json.dumps(inputs, sort_keys=True, ensure_ascii=False).encode(),
        files.compose,
        (files.nginx or "").encode(),
    )
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
