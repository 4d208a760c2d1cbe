"""The nightly drift check, on the host that checks the others."""

from __future__ import annotations

from posixpath import dirname
from shlex import quote

from gpuhost.checks.finding import Verdict, fail, ok, skip, warn
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
    timer_unit,
    unwritable_reports,
    way_to,
    writable_by_others,
    wrong_files,
)
from gpuhost.plans.drift_reading import COMMAND, key_options
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.drift_keys import DriftKey
from gpuhost.snapshot.paths import PathState

NOT_HERE = "no drift_directory: this host runs no nightly drift check"
AGAIN = "run deploys/drift_timer.py"


@check("drift.command", "The nightly drift check has gpuhost and an inventory, and may read both.")
def command(snapshot: Snapshot, settings: Settings) -> Verdict:
    directory = settings.drift_directory
    if directory is None:
        return skip(NOT_HERE)
    program = next((path for path in commands(settings) if path_state(snapshot, path)), None)
    if program is None:
        return fail(
            "gpuhost",
            f"none of {', '.join(commands(settings))} exists",
            fix=f"copy the repository to {directory} on this host and run `make setup` in it",
        )
    if path_state(snapshot, inventory(settings)) is None:
        return fail(
            inventory(settings), "it does not exist", fix="create it, or set drift_inventory"
        )
    unusable = _blocking_path(snapshot, program, inventory(settings))
    if unusable:
        return fail(
            f"{ACCOUNT} may read and run it",
            f"it may not: {unusable.path} has mode {unusable.mode} and owner {unusable.owner}",
            fix="move the checkout where others may read it, such as /srv/gpuhost, or allow it: "
            f"chmod o+rX {unusable.path}",
        )
    return ok(program)


def _blocking_path(snapshot: Snapshot, program: str, listed: str) -> PathState | None:
    """The first path that the account may not use."""
    needed = [*((step, "x") for path in (program, listed) for step in way_to(path))]
    needed += [(program, "x"), (listed, "r")]
    states = ((snapshot.paths.get(path), letter) for path, letter in needed)
    return next((state for state, letter in states if state and not may(state, letter)), None)


@check(
    "drift.checkout",
    "Only root and its own account can change the checkout that the nightly drift check runs.",
)
def checkout(snapshot: Snapshot, settings: Settings) -> Verdict:
    if settings.drift_directory is None:
        return skip(NOT_HERE)
    if not snapshot.system.root:
        raise NotRead("only root can read its owners")
    if others := writable_by_others(snapshot, settings):
        directory = quote(settings.drift_directory)
        return fail(
            f"only root and {ACCOUNT} can change it",
            f"others can: {', '.join(others)}; what it runs has the key of the fleet",
            fix=f"chown -R root: {directory} && chmod -R go-w {directory}; the same for a "
            "directory above it, or move it to /srv/gpuhost",
        )
    return ok(settings.drift_directory)


@check(
    "drift.account",
    "The nightly drift check has a home, and an SSH key that only its account can read.",
)
def account(snapshot: Snapshot, settings: Settings) -> Verdict:
    if settings.drift_directory is None:
        return skip(NOT_HERE)
    home = path_state(snapshot, HOME)
    if home is None or home.owner != ACCOUNT:
        return fail(
            f"{HOME} of {ACCOUNT}", "it does not exist" if home is None else home.owner, fix=AGAIN
        )
    for path, mode in ((dirname(KEY), "0700"), (KEY, "0600")):
        state = path_state(snapshot, path)
        if state is None:
            return fail(f"{path} {mode}", "it does not exist", fix=AGAIN)
        if (state.owner, state.mode) != (ACCOUNT, mode):
            return fail(f"{path} {mode} {ACCOUNT}", f"{state.mode} {state.owner}", fix=AGAIN)
    return ok(f"{ACCOUNT}, {KEY}")


@check("drift.key", "The key of the nightly drift check can only read this host.")
def key(snapshot: Snapshot, settings: Settings) -> Verdict:
    keys = snapshot.drift_keys
    if not keys:
        if not snapshot.system.root:
            raise NotRead("only root can read authorized_keys of all accounts")
        return skip("no key of it may log in")
    expected = f"{key_options()} before the key"
    if not (free := [one for one in keys if not one.is_restricted]):
        return ok(expected)
    places = ", ".join(f"{one.path}:{one.line}" for one in free)
    fixes = [f"sed -i '{one.line}s#^#{_prefix(one)}#' {quote(one.path)}" for one in free]
    first = () if path_state(snapshot, COMMAND) else ("run deploys/gpu_host.py on this host",)
    return warn(
        expected,
        f"not in {places}: who has this key can do all that the account can",
        fix="; ".join((*first, *fixes)),
    )


def _prefix(authorized: DriftKey) -> str:
    """What makes it restricted: sshd refuses a line with two commands."""
    missing = "restrict" if authorized.has_command else key_options()
    return f"{missing}{',' if authorized.options else ' '}"


@check("drift.reports", "The nightly drift check may write its page and its metrics.")
def reports(snapshot: Snapshot, settings: Settings) -> Verdict:
    if settings.drift_directory is None:
        return skip(NOT_HERE)
    if not report_directories(settings):
        return skip(f"they are in {HOME}, or not declared")
    missing, unusable = missing_reports(snapshot, settings), unwritable_reports(snapshot, settings)
    if unusable:
        return fail(
            f"{ACCOUNT} may write in {unusable[0]}",
            "it may not",
            fix=f"chgrp {ACCOUNT} {unusable[0]} && chmod g+rwx {unusable[0]}, or set another path",
        )
    if missing:
        return fail(f"{missing[0]} exists", "it does not", fix=AGAIN)
    return ok(", ".join(report_directories(settings)))


@check("drift.timer", "The nightly drift check is installed as declared, and its timer runs.")
def timer(snapshot: Snapshot, settings: Settings) -> Verdict:
    if settings.drift_directory is None:
        return skip(NOT_HERE)
    differing = wrong_files(snapshot, settings)
    if differing:
        return fail("as declared", f"differs: {', '.join(differing)}", fix=AGAIN)
    secrets = path_state(snapshot, SECRETS)
    if secrets and (secrets.mode, secrets.owner) != ("0600", "root"):
        state = f"{secrets.mode} {secrets.owner}"
        return fail(f"{SECRETS} 0600 root", state, fix=f"chmod 600 {SECRETS}")
    unit = timer_unit(snapshot)
    if not (unit.active and unit.enabled):
        return fail(f"{TIMER} active and enabled", "it is not", fix=AGAIN)
    return ok(settings.drift_at)
