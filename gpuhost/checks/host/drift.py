"""The nightly drift check, on the host that runs it for the others."""

from __future__ import annotations

from posixpath import dirname

from gpuhost.checks.finding import Verdict, fail, ok, skip
from gpuhost.checks.registry import check
from gpuhost.plans.drift import (
    ACCOUNT,
    HOME,
    KEY,
    SECRETS,
    TIMER,
    commands,
    inventory,
    may,
    missing_reports,
    path_state,
    report_directories,
    shut_reports,
    timer_unit,
    way_to,
    wrong_files,
)
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.paths import PathState

NOT_HERE = "no drift_directory: this host runs no nightly drift check"
AGAIN = "run deploys/drift_timer.py"


@check(
    "drift.command", "The nightly drift check finds gpuhost and its inventory, and may read both."
)
def command(snapshot: Snapshot, settings: Settings) -> Verdict:
    directory = settings.drift_directory
    if directory is None:
        return skip(NOT_HERE)
    found = next((path for path in commands(settings) if path_state(snapshot, path)), None)
    if found is None:
        return fail(
            "gpuhost",
            f"there is no {' and no '.join(commands(settings))}",
            fix=f"put the repository into {directory} on this host and run `make setup` there",
        )
    if path_state(snapshot, inventory(settings)) is None:
        return fail(inventory(settings), "not there", fix="put it there, or set drift_inventory")
    shut = _shut(snapshot, found, inventory(settings))
    if shut:
        return fail(
            f"{ACCOUNT} may read and run it",
            f"it may not: {shut.path} is {shut.mode}, of {shut.owner}",
            fix="put the checkout where others may read it, such as /srv/gpuhost, or open it: "
            f"chmod o+rX {shut.path}",
        )
    return ok(found)


def _shut(snapshot: Snapshot, found: str, listed: str) -> PathState | None:
    """The first thing on the way that the account may not use."""
    needed = [*((step, "x") for path in (found, listed) for step in way_to(path))]
    needed += [(found, "x"), (listed, "r")]
    states = ((snapshot.paths.get(path), letter) for path, letter in needed)
    return next((state for state, letter in states if state and not may(state, letter)), None)


@check(
    "drift.account", "The nightly drift check has a home and an SSH key that nobody else can read."
)
def account(snapshot: Snapshot, settings: Settings) -> Verdict:
    if settings.drift_directory is None:
        return skip(NOT_HERE)
    home = path_state(snapshot, HOME)
    if home is None or home.owner != ACCOUNT:
        return fail(f"{HOME} of {ACCOUNT}", "not there" if home is None else home.owner, fix=AGAIN)
    for path, mode in ((dirname(KEY), "0700"), (KEY, "0600")):
        state = path_state(snapshot, path)
        if state is None:
            return fail(f"{path} {mode}", "not there", fix=AGAIN)
        if (state.owner, state.mode) != (ACCOUNT, mode):
            return fail(f"{path} {mode} {ACCOUNT}", f"{state.mode} {state.owner}", fix=AGAIN)
    return ok(f"{ACCOUNT}, {KEY}")


@check("drift.reports", "The nightly drift check may write its page and its metrics.")
def reports(snapshot: Snapshot, settings: Settings) -> Verdict:
    if settings.drift_directory is None:
        return skip(NOT_HERE)
    if not report_directories(settings):
        return skip(f"neither has a directory outside of {HOME}")
    missing, shut = missing_reports(snapshot, settings), shut_reports(snapshot, settings)
    if shut:
        return fail(
            f"{ACCOUNT} may write in {shut[0]}",
            "it may not",
            fix=f"chgrp {ACCOUNT} {shut[0]} && chmod g+rwx {shut[0]}, or name another directory",
        )
    if missing:
        return fail(f"{missing[0]} is there", "it is not", fix=AGAIN)
    return ok(", ".join(report_directories(settings)))


@check("drift.timer", "The nightly drift check is installed as declared, and its timer runs.")
def timer(snapshot: Snapshot, settings: Settings) -> Verdict:
    if settings.drift_directory is None:
        return skip(NOT_HERE)
    wrong = wrong_files(snapshot, settings)
    if wrong:
        return fail("as declared", f"not so: {', '.join(wrong)}", fix=AGAIN)
    secrets = path_state(snapshot, SECRETS)
    if secrets and (secrets.mode, secrets.owner) != ("0600", "root"):
        state = f"{secrets.mode} {secrets.owner}"
        return fail(f"{SECRETS} 0600 root", state, fix=f"chmod 600 {SECRETS}")
    unit = timer_unit(snapshot)
    if not (unit.active and unit.enabled):
        return fail(f"{TIMER} active and enabled", "it is not", fix=AGAIN)
    return ok(settings.drift_at)
