"""The write side of the nightly drift check, on the host that runs it for the others."""

from __future__ import annotations

import os

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, State, StringCommand
from pyinfra.api.host import Host

from gpuhost.checks.finding import Status
from gpuhost.checks.registry import failing, finding_of
from gpuhost.operations.reading import Commands, operation, read
from gpuhost.plans.drift import (
    ACCOUNT,
    HOME,
    KEY,
    PATHS,
    SECRETS,
    SERVICE,
    SSH_KEYGEN,
    TIMER,
    host_files,
    missing_reports,
    secrets_text,
    timer_unit,
    unwritable_reports,
    wrong_files,
)
from gpuhost.plans.firewall_files import HostFile
from gpuhost.remote.commands import connector_arguments, put, refuse, remove, run, script
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

# In the environment of the one who deploys: where the check sends its messages.
NOTIFY = "GPUHOST_NOTIFY"


@operation
def timer(
    directory: str,
    inventory: str = "inventory.py",
    at: str = "04:00",
    html: str | None = None,
    metrics: str | None = None,
) -> Commands:
    """
    Have a host run `gpuhost drift` every night, as an account of its own whose SSH key is made here
    once; the public half is printed, with what to do with it. Where GPUHOST_NOTIFY is set here, it
    reaches the host on stdin and lies there in a file of root's only; where it is not, what the
    host has stays; an empty one takes it away.

    + directory: the checkout on that host, with the inventory and `.venv`
    + inventory: the inventory, in that directory
    + at: when, as systemd writes it: "04:00", "Mon..Fri 04:00"
    + html: where its page is written
    + metrics: where its metrics are written, in a directory that node_exporter reads

    **Example:**

    .. code:: python

        from gpuhost.operations import drift
        drift.timer(name="Nightly drift check", directory="/srv/gpuhost", at="04:30")
    """
    settings = Settings(
        drift_directory=directory,
        drift_inventory=inventory,
        drift_at=at,
        drift_html=html,
        drift_metrics=metrics,
    )
    snapshot = read(settings)
    if reason := _hindrance(snapshot, settings):
        refuse("drift", reason)
        return
    wrong = {finding.id for finding in failing(snapshot, settings, "drift")}
    secrets = _secrets(snapshot)
    if not wrong and not secrets:
        host.noop(f"the nightly drift check is as declared; its key: {KEY}.pub")
        return
    if "drift.account" in wrong:
        yield script("drift_account.sh", ACCOUNT, HOME, KEY, seconds=60)
    if missing := missing_reports(snapshot, settings):
        yield script("drift_reports.sh", ACCOUNT, HOME, *missing, seconds=30)
    yield from secrets
    yield from _installed(snapshot, settings)
    yield FunctionCommand(tell_key, (), {})


def _hindrance(snapshot: Snapshot, settings: Settings) -> str:
    """Why nothing is done; "" where nothing is in the way."""
    found = finding_of("drift.command", snapshot, settings)
    if found.status is not Status.OK:
        return f"{found.actual}; {found.fix}" if found.fix else found.actual
    if snapshot.paths.get(SSH_KEYGEN) is None:
        return f"there is no {SSH_KEYGEN}: apt-get install openssh-client"
    if shut := unwritable_reports(snapshot, settings):
        return f"{ACCOUNT} may not write in {shut[0]}: chgrp {ACCOUNT} and chmod g+rwx it"
    if not _url().isprintable() or "'" in _url():
        return f"{NOTIFY} of this environment has a quote or a line break in it"
    return ""


def _url() -> str:
    return os.environ.get(NOTIFY, "").strip()


def _secrets(snapshot: Snapshot) -> list[StringCommand]:
    """What brings the file of secrets to what this environment says."""
    there = snapshot.paths.get(SECRETS)
    if NOTIFY not in os.environ:
        return []
    if not _url():
        return [remove(SECRETS)] if there else []
    wanted = HostFile(SECRETS, secrets_text(_url()), "0600")
    if there and (there.sha256, there.mode, there.owner) == (wanted.sha256, wanted.mode, "root"):
        return []
    return [put(wanted.path, wanted.content, mode=wanted.mode)]


def _installed(snapshot: Snapshot, settings: Settings) -> Commands:
    """The units, and the timer on."""
    wrong = wrong_files(snapshot, settings)
    unit = timer_unit(snapshot)
    is_new = any(path.endswith(f"/{TIMER}") for path in wrong)
    if is_new:
        # A time that systemd does not know ends it here, with systemd's own words.
        yield run("systemd-analyze", "calendar", "--", settings.drift_at)
    for file in host_files(settings):
        if file.path in wrong:
            yield put(file.path, file.content, mode=file.mode)
    if (there := snapshot.paths.get(SECRETS)) and there.mode != "0600":
        yield run("chmod", "0600", SECRETS)
    if wrong:
        yield run("systemctl", "daemon-reload", seconds=60)
    if not (unit.active and unit.enabled):
        yield run("systemctl", "enable", "--now", TIMER, seconds=60)
    elif is_new:
        yield run("systemctl", "restart", TIMER, seconds=60)


def tell_key(state: State, host: Host) -> bool:
    """The public half of the key, and what a person does with it."""
    shown = run("runuser", "-u", ACCOUNT, "--", "cat", f"{KEY}.pub")
    done, output = host.run_shell_command(shown, **connector_arguments(host))
    if not done:
        return False
    for line in (
        "the nightly check logs in to the fleet with this key: put it into authorized_keys of the",
        "account that the inventory names (root, or one with sudo), on every host:",
        f"    restrict {output.stdout.strip()}",
        f"it accepts no unknown host key: {HOME}/.ssh/known_hosts has to have them. Try it:",
        f"    systemctl start {SERVICE}; journalctl -u {SERVICE} -n 50",
        "what it prints says how to accept the key of each host.",
    ):
        host.log(line)
    return True


@operation
def removed() -> Commands:
    """
    Take the nightly drift check away from a host. Its account, with its SSH key and the history of
    runs, stays.

    **Example:**

    .. code:: python

        from gpuhost.operations import drift
        drift.removed(name="No nightly drift check")
    """
    snapshot = read(Settings())
    left = [path for path in (*PATHS, SECRETS) if snapshot.paths.get(path)]
    if not left:
        host.noop("no nightly drift check is installed here")
        return
    if any(path.endswith(f"/{TIMER}") for path in left):
        yield run("systemctl", "disable", "--now", TIMER, seconds=60)
    yield remove(*left)
    yield run("systemctl", "daemon-reload", seconds=60)
    yield FunctionCommand(_tell_removed, (), {})


def _tell_removed(state: State, host: Host) -> bool:
    words = f"{HOME} stays, and its key in authorized_keys of the fleet: take that out there"
    host.log_styled(words, fg="yellow", log_func=logger.warning)
    return True
