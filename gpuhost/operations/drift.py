"""Operations on the nightly drift check, on the control host that checks the fleet."""

from __future__ import annotations

import os

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, State, StringCommand
from pyinfra.api.host import Host

from gpuhost.checks.finding import Status
from gpuhost.checks.registry import finding_of
from gpuhost.operations.findings import failing_ids
from gpuhost.operations.reading import Commands, operation, read
from gpuhost.operations.refuse import refuse
from gpuhost.operations.units import enable_now, refuse_files, remove_units, write_files
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
from gpuhost.plans.drift_reading import ALLOWED, COMMAND, key_options, reading_files
from gpuhost.plans.host_file import HostFile
from gpuhost.plans.request import request_for
from gpuhost.remote.commands import last_line, put, remove, run, run_on, script
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

# A variable in the environment of pyinfra: where the check sends its messages.
NOTIFY = "GPUHOST_NOTIFY"


@operation
def timer(
    directory: str | None = None,
    inventory: str = "inventory.py",
    at: str = "04:00",
    html: str | None = None,
    metrics: str | None = None,
    adopt: bool = False,
    present: bool = True,
) -> Commands:
    """
    Run `gpuhost drift` on this host every night, with its own account and SSH key. The public key
    is printed, with instructions. If GPUHOST_NOTIFY is set in the environment, it is sent on stdin
    and stored in a file that only root can read; if it is not set, the stored value stays; if it is
    empty, the stored value is deleted.

    + directory: the checkout on this host, with the inventory and `.venv`
    + inventory: the inventory, in that directory
    + at: when, in systemd's format: "04:00", "Mon..Fri 04:00"
    + html: the file for the HTML page
    + metrics: the file for metrics, in a directory that node_exporter reads
    + adopt: reload systemd even if that takes the GPUs from running containers
    + present: False: remove the check; its account, with SSH key and history, stays

    **Example:**

    .. code:: python

        from gpuhost.operations import drift
        drift.timer(name="Nightly drift check", directory="/srv/gpuhost", at="04:30")
    """
    if not present:
        yield from _remove(read(Settings()))
        return
    settings = Settings(
        drift_directory=directory,
        drift_inventory=inventory,
        drift_at=at,
        drift_html=html,
        drift_metrics=metrics,
    )
    snapshot = read(settings)
    if reason := _why_not(snapshot, settings):
        refuse("drift", reason)
        return
    wrong = failing_ids(snapshot, settings, "drift")
    secrets = _secrets(snapshot)
    if not wrong and not secrets:
        host.noop(f"the nightly drift check is as declared; its key: {KEY}.pub")
        return
    if refuse_files("drift", snapshot, wrong_files(snapshot, settings), adopt=adopt):
        return
    if "drift.account" in wrong:
        yield script("drift_account.sh", ACCOUNT, HOME, KEY, seconds=60)
    if missing := missing_reports(snapshot, settings):
        yield script("drift_reports.sh", ACCOUNT, HOME, *missing, seconds=30)
    yield from secrets
    yield from _install_units(snapshot, settings)
    yield FunctionCommand(print_key, (), {})


@operation
def reading(settings: Settings) -> Commands:
    """
    Let the key of the nightly check read this host: install the key's forced command, and the hash
    of the one reading that it runs. Whoever has the key can do nothing else here.

    + settings: the settings of this host

    **Example:**

    .. code:: python

        from gpuhost.operations import drift
        drift.reading(name="Reading of the nightly check", settings=settings)
    """
    snapshot = read(
        settings, despite=["toolkit.proof", "firewall.rules", "system.security_updates"]
    )
    wrong = [file for file in reading_files(request_for(settings)) if not file.is_on(snapshot)]
    for file in wrong:
        yield put(file.path, file.content, mode=file.mode)
    if not wrong:
        host.noop("the nightly check may read this host")


def _why_not(snapshot: Snapshot, settings: Settings) -> str:
    """Why the check cannot be installed; empty if it can."""
    finding = finding_of("drift.command", snapshot, settings)
    if finding.status is Status.OK:
        finding = finding_of("drift.checkout", snapshot, settings)
    if finding.status is not Status.OK:
        return f"{finding.actual}; {finding.fix}" if finding.fix else finding.actual
    if snapshot.paths.get(SSH_KEYGEN) is None:
        return f"{SSH_KEYGEN} is missing: apt-get install openssh-client"
    if unwritable := unwritable_reports(snapshot, settings):
        return f"{ACCOUNT} cannot write in {unwritable[0]}: chgrp {ACCOUNT} and chmod g+rwx it"
    if not _url().isprintable() or "'" in _url():
        return f"{NOTIFY} in the environment contains a quote or a line break"
    return ""


def _url() -> str:
    return os.environ.get(NOTIFY, "").strip()


def _secrets(snapshot: Snapshot) -> list[StringCommand]:
    """The commands that bring the secrets file in line with the environment."""
    file = snapshot.paths.get(SECRETS)
    if NOTIFY not in os.environ:
        return []
    if not _url():
        return [remove(SECRETS)] if file else []
    new = HostFile(SECRETS, secrets_text(_url()), "0600")
    if new.is_on(snapshot):
        return []
    return [put(new.path, new.content, mode=new.mode)]


def _install_units(snapshot: Snapshot, settings: Settings) -> Commands:
    """Install the units and start the timer."""
    wrong = wrong_files(snapshot, settings)
    unit = timer_unit(snapshot)
    is_new = any(path.endswith(f"/{TIMER}") for path in wrong)
    if is_new:
        # An invalid time fails here, with systemd's own message.
        yield run("systemd-analyze", "calendar", "--", settings.drift_at)
    differing = [file for file in host_files(settings) if file.path in wrong]
    yield from write_files(snapshot, differing)
    if (secrets := snapshot.paths.get(SECRETS)) and secrets.mode != "0600":
        yield run("chmod", "0600", SECRETS)
    if not (unit.active and unit.enabled):
        yield from enable_now(snapshot, TIMER, seconds=60)
    elif is_new:
        yield run("systemctl", "restart", TIMER, seconds=60)


def print_key(state: State, host: Host) -> bool:
    """Print the public key, and where to install it."""
    cat = ("sh", "-c", 'echo; cat "$1"', "sh", f"{KEY}.pub")
    show = run("runuser", "-u", ACCOUNT, "--", *cat)
    done, output = run_on(host, show)
    if not done:
        return False
    for line in (
        "the nightly check logs in to the fleet with this key: add it to authorized_keys of the",
        "account that the inventory names (root, or one with sudo), on every host:",
        f"    {key_options()} {last_line(output)}",
        "so it can only read them; each host runs only the reading of its last deploy.",
        f"it accepts only the host keys in {HOME}/.ssh/known_hosts. Try it:",
        f"    systemctl start {SERVICE}; journalctl -u {SERVICE} -n 50",
        "its output shows how to accept the key of each host.",
    ):
        host.log(line)
    return True


def _remove(snapshot: Snapshot) -> Commands:
    installed = [path for path in (*PATHS, SECRETS, COMMAND, ALLOWED) if snapshot.paths.get(path)]
    if not installed:
        host.noop("the nightly drift check is not installed")
        return
    timer = [TIMER] if any(path.endswith(f"/{TIMER}") for path in installed) else []
    yield from remove_units(snapshot, installed, *timer)
    yield FunctionCommand(_print_what_stays, (), {})


def _print_what_stays(state: State, host: Host) -> bool:
    text = f"{HOME} stays; its key stays on the fleet too: remove it from authorized_keys there"
    host.log_styled(text, fg="yellow", log_func=logger.warning)
    return True
