"""From an app, its variant and its host to the plan that the runner carries out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

from gpuhost.app import source as app_source
from gpuhost.app.app import App
from gpuhost.app.errors import BadApp
from gpuhost.checks.build import build_arguments
from gpuhost.nvidia.toolkits import driver_cuda
from gpuhost.release.cards import capability
from gpuhost.release.override import override
from gpuhost.release.site import has_ipv6, site, site_paths
from gpuhost.release.steps import steps_for
from gpuhost.release.variant import Choice, Reservation
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
class Texts:
    """The files of a release that are rendered here. nginx: None for an app without a site."""

    compose: bytes
    override: str
    nginx: str | None


def texts_for(app: App, choice: Choice, now: Snapshot) -> Texts:
    """The same texts for the same app, choice and host. Raises BadApp."""
    engine = now.docker.engine
    early = engine is not None and _major(engine.version) >= START_INTERVAL_SINCE
    return Texts(
        app.text, override(app, choice, start_interval=early), site(app, ipv6=has_ipv6(now))
    )


def _major(version: str) -> int:
    number = version.partition(".")[0]
    return int(number) if number.isdigit() else 0


def plan_for(
    app: App,
    choice: Choice,
    declared: Settings,
    now: Snapshot,
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
    made = plan.Plan(
        app=app.name,
        id=release_id,
        inputs="",
        by=by,
        project=app.project,
        revision=revision,
        source=_source(block.source, revision),
        registries=tuple(
            plan.Registry(host, one.user, one.password) for host, one in block.registries.items()
        ),
        variant=choice.sentence,
        profiles=choice.profiles,
        leave_out=choice.leave_out,
        scale=dict(block.scale),
        build=_build(app, declared),
        secrets=_secrets(app),
        directories=tuple(
            plan.Directory(path, one.owner, one.mode) for path, one in block.directories.items()
        ),
        logs=plan.Logs(block.logs.files, block.logs.max_size_mb, block.logs.keep),
        gpu=tuple(_gpu(service, one) for service, one in choice.reservations.items()),
        backup=_backup(app),
        migrate=_migrate(app),
        verify=plan.Verify(
            steps_for(app, choice), block.verify.start_s, block.verify.loading, block.verify.fatal
        ),
        nginx=_nginx(app),
        adopt=declared.adopt,
        keep_releases=block.keep_releases,
    )
    made = replace(made, limit_s=_limit(made, app))
    # The way to the packages is the host's, and no other one makes another release.
    way = {**build_arguments(declared, now), **made.build.args}
    return replace(
        made,
        inputs=_inputs(made, texts_for(app, choice, now)),
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
    return plan.Source(
        "git",
        revision,
        source.git,
        source.deploy_key,
        source.token,
        source.user,
        source.known_hosts,
    )


def _build(app: App, declared: Settings) -> plan.Build:
    build = app.block.build
    return plan.Build(
        order=build.order,
        args={**declared.build_args, **build.args},
        bases={tag: (base.context, base.dockerfile) for tag, base in build.bases.items()},
        no_cache=build.no_cache,
        memory_gb=build.memory_gb,
        disk_gb=build.disk_gb,
        step_limit_s=build.step_limit_s,
    )


def _secrets(app: App) -> tuple[plan.Secret, ...]:
    return tuple(
        plan.Secret(
            name,
            services=one.services,
            generate=one.generate,
            bytes=one.bytes,
            path=one.path,
            value=one.value or "",
            internal=one.internal,
        )
        for name, one in app.block.secrets.items()
    )


def _gpu(service: str, reserved: Reservation) -> plan.Gpu:
    card = reserved.card
    cuda, has = driver_cuda(card.driver), capability(card)
    return plan.Gpu(
        service,
        driver=str(card.driver),
        cuda=str(cuda) if cuda else "",
        brand=card.card.brand.value if card.card else "",
        compute_capability=str(has) if has else "",
    )


def _backup(app: App) -> plan.Backup | None:
    backup = app.block.backup
    if backup is None:
        return None
    return plan.Backup(
        sqlite=backup.sqlite,
        paths=backup.paths,
        postgres=tuple(
            plan.Postgres(one.service, one.database, one.user) for one in backup.postgres
        ),
        keep=backup.keep,
        limit_s=backup.limit_s,
        every=backup.every or "",
    )


def _migrate(app: App) -> plan.Migrate | None:
    migrate = app.block.migrate
    if migrate is None:
        return None
    return plan.Migrate(migrate.service, migrate.limit_s, migrate.without_backup)


def _nginx(app: App) -> plan.Nginx | None:
    declared = app.block.nginx
    if declared is None:
        return None
    paths, tls = site_paths(app), declared.tls
    made = plan.Nginx(
        where=declared.where,
        service=declared.service or "",
        path=paths.file,
        server_names=declared.server_names,
    )
    if tls is None:
        return made
    return replace(
        made,
        certificate=tls.kind,
        certificate_dir=paths.certificates,
        email=tls.email or "",
        certificate_secret=tls.certificate,
        key_secret=tls.key,
    )


def _limit(made: plan.Plan, app: App) -> int:
    """How long all of it may take, in seconds: the limits of its parts, and some to spare."""
    built = [service for service in app.compose.services.values() if service.build]
    builds = (len(built) + len(made.build.bases)) * made.build.step_limit_s
    backup = made.backup.limit_s if made.backup else 0
    migrate = made.migrate.limit_s if made.migrate else 0
    verified = made.verify.start_s + TWICE * sum(step.within_s for step in made.verify.steps)
    return builds + backup + migrate + TWICE * verified + SPARE_S


def _inputs(made: plan.Plan, texts: Texts) -> str:
    """The hash of all that decides the release."""
    values: dict[str, Any] = plan.as_json(made)
    decided = {name: value for name, value in values.items() if name not in NOT_INPUTS}
    parts = (
        json.dumps(decided, sort_keys=True, ensure_ascii=False).encode(),
        texts.compose,
        texts.override.encode(),
        (texts.nginx or "").encode(),
    )
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
