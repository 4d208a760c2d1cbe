"""Operations on the package sources of the distribution."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from pyinfra import host
from pyinfra.api import FunctionCommand, State, StringCommand
from pyinfra.api.host import Host
from pyinfra.connectors.util import CommandOutput

from gpuhost.domain.apt.archive import is_security
from gpuhost.domain.apt.choice import Probe, answered, release_urls
from gpuhost.domain.apt.mirrors import Archive, mirror_called
from gpuhost.domain.apt.plan import Plan
from gpuhost.domain.apt.record import DIRECTORY, saved_path
from gpuhost.operations.findings import failing_ids
from gpuhost.operations.reading import Commands, operation, read
from gpuhost.operations.refuse import refuse
from gpuhost.plans.apt import (
    CLOUD_INIT_TEXT,
    choice_of,
    keeps_sources,
    plan,
    plan_for,
    refusal,
    time_of,
)
from gpuhost.plans.apt_archives import owners
from gpuhost.remote.apt import LOCK_TIMEOUT_S
from gpuhost.remote.commands import put, remove, run, run_on, script
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.apt import CLOUD_INIT_APT

STAGED = f"{DIRECTORY}/staged"
ASK_SECONDS = 25
# Two updates: with the mirror, and with the previous sources if that fails.
SWITCH_SECONDS = 1300


@operation
def mirror(
    mirror: str = "auto",
    security: bool = False,
    candidates: tuple[str, ...] = ("aliyun", "tuna", "ustc"),
    max_age_days: int = 7,
    present: bool = True,
    lock_timeout_s: int = LOCK_TIMEOUT_S,
) -> Commands:
    """
    Fetch the distribution's own packages from a mirror. Other vendors' sources stay as they are. If
    `apt-get update` fails with the mirror, the previous sources are restored at once.

    + mirror: "aliyun", "tuna", "ustc", "tencent", "huawei", a URL, or "auto"
    + security: also fetch the security suites from the mirror, although it may lag behind
    + candidates: the mirrors that "auto" tries, in this order
    + max_age_days: "auto" refuses a mirror that is older
    + present: False: restore the original sources
    + lock_timeout_s: seconds to wait for another apt process

    **Example:**

    .. code:: python

        from gpuhost.operations import apt
        apt.mirror(name="Packages from USTC", mirror="ustc")
    """
    settings = Settings(
        apt_mirror=mirror if present else None,
        apt_mirror_security=security,
        apt_mirror_candidates=tuple(candidates),
        apt_mirror_max_age_days=max_age_days,
        apt_lock_timeout_s=lock_timeout_s,
    )
    snapshot = read(settings)
    is_interrupted = snapshot.apt.interrupted
    wrong = failing_ids(snapshot, settings, "apt")
    if not wrong:
        host.noop(f"packages come from {mirror if present else 'the original sources'}")
        return
    if is_interrupted:
        yield script("apt_switch.sh", "undo", seconds=60)
        snapshot = read(settings)
        wrong = failing_ids(snapshot, settings, "apt")
    target = None if "apt.fresh" in wrong else plan(snapshot, settings)
    if present and not snapshot.apt.sources.own_suites():
        known = "; ".join(owners(snapshot)) or "apt has no sources"
        distribution = snapshot.system.distribution
        refuse("apt", f"no source is recognised as {distribution}'s own archive: {known}")
        return
    if why := refusal(snapshot, target):
        refuse("apt", why)
        return
    if target is None:
        yield FunctionCommand(_use_first_working_mirror, (snapshot, settings), {})
    else:
        yield from _apply(target, snapshot, settings)


def _apply(target: Plan, snapshot: Snapshot, settings: Settings) -> Iterator[StringCommand]:
    if not target.is_empty:
        yield from _switch(target, snapshot, settings)
    cloud_init_text = snapshot.apt.keeps_sources
    if not keeps_sources(target):
        if cloud_init_text is not None:
            yield remove(CLOUD_INIT_APT)
    elif snapshot.apt.cloud_init and cloud_init_text != CLOUD_INIT_TEXT:
        yield put(CLOUD_INIT_APT, CLOUD_INIT_TEXT)


def _switch(target: Plan, snapshot: Snapshot, settings: Settings) -> Iterator[StringCommand]:
    """Stage all files first; then one script, which needs no connection, makes the change."""
    mirror = target.record.chosen() if target.record else None
    words = []
    yield run("rm", "-rf", "--", STAGED)
    for file in target.files:
        if file in snapshot.apt.sources.saved:
            words.append(f"back:{file.path}")
        else:
            yield put(f"{STAGED}{file.path}", file.content)
    for file in target.originals:
        if file in snapshot.apt.sources.files:
            words.append(f"keep:{file.path}")
        else:
            yield put(saved_path(file.path), file.content)
    words += [f"stale:{path}" for path in target.stale]
    if target.record:
        yield put(f"{STAGED}/record.json", target.record.to_json())
    else:
        words.append("forget")
    yield script(
        "apt_switch.sh",
        "to",
        mirror.base if mirror else "",
        settings.apt_lock_timeout_s,
        *words,
        seconds=SWITCH_SECONDS + 2 * settings.apt_lock_timeout_s,
    )


def _use_first_working_mirror(
    state: State, host: Host, snapshot: Snapshot, settings: Settings
) -> bool:
    """Use the first candidate that is reachable and fresh, and with which an update succeeds."""
    skipped: dict[str, str] = {}
    for probe in _ask(host, snapshot, settings):
        why = probe.refusal(time_of(snapshot), timedelta(days=settings.apt_mirror_max_age_days))
        if why is None:
            choice = choice_of(probe.mirror, snapshot, settings, skipped)
            why = _try_plan(host, plan_for(choice, snapshot, settings), snapshot, settings)
        if why is None:
            host.log(f"packages come from {probe.mirror.base}")
            return True
        host.log_styled(f"{probe.mirror.name} is skipped: {why}", fg="yellow")
        skipped[probe.mirror.name] = why
    originals = plan_for(choice_of(None, snapshot, settings, skipped), snapshot, settings)
    return _try_plan(host, originals, snapshot, settings) is None


def _ask(host: Host, snapshot: Snapshot, settings: Settings) -> Iterable[Probe]:
    """Every candidate's answer for the suites in use; all are asked at once."""
    suites = _suites_to_ask(snapshot, settings)
    urls_by_mirror = {
        mirror: release_urls(mirror, suites)
        for name in settings.apt_mirror_candidates
        for mirror in [mirror_called(name, https=snapshot.apt.certificates)]
    }
    urls = [url for pairs in urls_by_mirror.values() for _, url in pairs]
    _, output = _run(host, script("apt_ask.sh", ASK_SECONDS, *urls, seconds=3 * ASK_SECONDS))
    return [answered(mirror, pairs, output.stdout) for mirror, pairs in urls_by_mirror.items()]


def _suites_to_ask(snapshot: Snapshot, settings: Settings) -> list[tuple[Archive, str]]:
    """The suites in use, and `-updates`, which shows a mirror's age."""
    distribution = snapshot.apt.sources.distribution
    in_use = [
        (archive, suite)
        for archive, suite in snapshot.apt.sources.own_suites()
        if settings.apt_mirror_security or not is_security(suite)
    ]
    updates = (distribution.main_archive, f"{distribution.codename}-updates")
    return list(dict.fromkeys([*in_use, updates]))


def _try_plan(host: Host, target: Plan, snapshot: Snapshot, settings: Settings) -> str | None:
    """Apply a plan; the reason why that failed, or None."""
    if why := refusal(snapshot, target):
        return why
    for command in _apply(target, snapshot, settings):
        done, output = _run(host, command)
        if not done:
            return output.stderr or output.stdout or "the command failed"
    return None


def _run(host: Host, command: StringCommand) -> tuple[bool, CommandOutput]:
    return run_on(host, command)
