"""The write side of apt's sources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from pyinfra import host
from pyinfra.api import FunctionCommand, State, StringCommand
from pyinfra.api.host import Host
from pyinfra.connectors.util import CommandOutput

from gpuhost.checks.registry import failing
from gpuhost.domain.apt.archive import is_security
from gpuhost.domain.apt.choice import Probe, answered, release_urls
from gpuhost.domain.apt.mirrors import Archive, mirror_called
from gpuhost.domain.apt.plan import Plan
from gpuhost.domain.apt.record import DIRECTORY, saved_path
from gpuhost.operations.reading import Commands, operation, read
from gpuhost.plans.apt import (
    CLOUD_INIT_TEXT,
    choice_of,
    keeps_sources,
    plan,
    plan_for,
    refusal,
    time_of,
)
from gpuhost.remote.commands import connector_arguments, put, refuse, remove, run, script
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.apt import CLOUD_INIT_APT

STAGED = f"{DIRECTORY}/staged"
ASK_SECONDS = 25
# Two updates: with the mirror, and with what was before if that failed.
SWITCH_SECONDS = 1300


@operation
def mirror(
    mirror: str | None = None,
    security: bool = False,
    candidates: tuple[str, ...] = ("aliyun", "tuna", "ustc"),
    max_age_days: int = 7,
    lock_timeout_s: int = 300,
) -> Commands:
    """
    Take the distribution's own packages from a mirror, or from where they came before. Third
    parties' sources are left alone. A mirror with which `apt-get update` fails is put back at once.

    + mirror: "aliyun", "tuna", "ustc", "tencent", "huawei", a URL, "auto", or None: the original
    + security: take the security suites from the mirror too, although it may lag behind
    + candidates: what "auto" tries, in this order
    + max_age_days: "auto" refuses a mirror that is older
    + lock_timeout_s: seconds to wait for another apt

    **Example:**

    .. code:: python

        from gpuhost.operations import apt
        apt.mirror(name="Packages from USTC", mirror="ustc")
    """
    settings = Settings(
        apt_mirror=mirror,
        apt_mirror_security=security,
        apt_mirror_candidates=tuple(candidates),
        apt_mirror_max_age_days=max_age_days,
        apt_lock_timeout_s=lock_timeout_s,
    )
    snapshot = read(settings)
    interrupted = snapshot.apt.interrupted
    wrong = {finding.id for finding in failing(snapshot, settings, "apt")}
    if not wrong:
        host.noop(f"packages come from {mirror or 'the original sources'}")
        return
    if interrupted:
        yield script("apt_switch.sh", "undo", seconds=60)
        snapshot = read(settings)
        wrong = {finding.id for finding in failing(snapshot, settings, "apt")}
    wanted = None if "apt.fresh" in wrong else plan(snapshot, settings)
    if mirror and not snapshot.apt.sources.own_suites():
        refuse("apt", f"no source of {snapshot.system.distribution}'s own archive is active")
        return
    if why := refusal(snapshot, wanted):
        refuse("apt", why)
        return
    if wanted is None:
        yield FunctionCommand(_first_that_works, (snapshot, settings), {})
    else:
        yield from _carry_out(wanted, snapshot, settings)


def _carry_out(wanted: Plan, snapshot: Snapshot, settings: Settings) -> Iterator[StringCommand]:
    if not wanted.is_empty:
        yield from _switch(wanted, snapshot, settings)
    told = snapshot.apt.keeps_sources
    if not keeps_sources(wanted):
        if told is not None:
            yield remove(CLOUD_INIT_APT)
    elif snapshot.apt.cloud_init and told != CLOUD_INIT_TEXT:
        yield put(CLOUD_INIT_APT, CLOUD_INIT_TEXT)


def _switch(wanted: Plan, snapshot: Snapshot, settings: Settings) -> Iterator[StringCommand]:
    """Everything is laid ready first, so that one script, on the host alone, changes it."""
    chosen = wanted.record.chosen() if wanted.record else None
    words = []
    yield run("rm", "-rf", "--", STAGED)
    for file in wanted.files:
        if file in snapshot.apt.sources.saved:
            words.append(f"back:{file.path}")
        else:
            yield put(f"{STAGED}{file.path}", file.content)
    for file in wanted.originals:
        if file in snapshot.apt.sources.files:
            words.append(f"keep:{file.path}")
        else:
            yield put(saved_path(file.path), file.content)
    words += [f"stale:{path}" for path in wanted.stale]
    if wanted.record:
        yield put(f"{STAGED}/record.json", wanted.record.to_json())
    else:
        words.append("forget")
    yield script(
        "apt_switch.sh",
        "to",
        chosen.base if chosen else "",
        settings.apt_lock_timeout_s,
        *words,
        seconds=SWITCH_SECONDS + 2 * settings.apt_lock_timeout_s,
    )


def _first_that_works(state: State, host: Host, snapshot: Snapshot, settings: Settings) -> bool:
    """Ask the candidates, and take the first that is reachable, fresh, and good for an update."""
    passed_over: dict[str, str] = {}
    for probe in _ask(host, snapshot, settings):
        why = probe.refusal(time_of(snapshot), timedelta(days=settings.apt_mirror_max_age_days))
        if why is None:
            choice = choice_of(probe.mirror, snapshot, settings, passed_over)
            why = _complaint(host, plan_for(choice, snapshot, settings), snapshot, settings)
        if why is None:
            host.log(f"packages come from {probe.mirror.base}")
            return True
        host.log_styled(f"{probe.mirror.name} is passed over: {why}", fg="yellow")
        passed_over[probe.mirror.name] = why
    nowhere = plan_for(choice_of(None, snapshot, settings, passed_over), snapshot, settings)
    return _complaint(host, nowhere, snapshot, settings) is None


def _ask(host: Host, snapshot: Snapshot, settings: Settings) -> Iterable[Probe]:
    """What every candidate answers for the suites in use; all are asked at once."""
    suites = _suites_to_ask(snapshot, settings)
    asked = {
        mirror: release_urls(mirror, suites)
        for name in settings.apt_mirror_candidates
        for mirror in [mirror_called(name, https=snapshot.apt.certificates)]
    }
    urls = [url for pairs in asked.values() for _, url in pairs]
    _, output = _run(host, script("apt_ask.sh", ASK_SECONDS, *urls, seconds=3 * ASK_SECONDS))
    return [answered(mirror, pairs, output.stdout) for mirror, pairs in asked.items()]


def _suites_to_ask(snapshot: Snapshot, settings: Settings) -> list[tuple[Archive, str]]:
    """Those in use, and `-updates`: the suite that tells a mirror's age."""
    distribution = snapshot.apt.sources.distribution
    in_use = [
        (archive, suite)
        for archive, suite in snapshot.apt.sources.own_suites()
        if settings.apt_mirror_security or not is_security(suite)
    ]
    updates = (distribution.main_archive, f"{distribution.codename}-updates")
    return list(dict.fromkeys([*in_use, updates]))


def _complaint(host: Host, wanted: Plan, snapshot: Snapshot, settings: Settings) -> str | None:
    """Why a plan could not be carried out; None: it was."""
    if why := refusal(snapshot, wanted):
        return why
    for command in _carry_out(wanted, snapshot, settings):
        done, output = _run(host, command)
        if not done:
            return output.stderr or output.stdout or "the command failed"
    return None


def _run(host: Host, command: StringCommand) -> tuple[bool, CommandOutput]:
    arguments = {**connector_arguments(host), **command.connector_arguments}
    return host.run_shell_command(command, **arguments)
