"""The nightly drift check of a control host: its account, key, service and timer."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from posixpath import dirname

from gpuhost.domain.rendering import render
from gpuhost.plans.host_file import HostFile
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.checkout import ACCOUNT as ACCOUNT
from gpuhost.snapshot.checkout import CHECKOUTS
from gpuhost.snapshot.paths import PathState
from gpuhost.snapshot.request import Request
from gpuhost.snapshot.units import Unit, read_unit

HOME = "/var/lib/gpuhost-drift"
KEY = f"{HOME}/.ssh/id_ed25519"
TIMER = "gpuhost-drift.timer"
SERVICE = "gpuhost-drift.service"
FAILED = "gpuhost-drift-failed.service"
# Runs if the check itself fails. Drift that it finds is not such a failure.
TELL_FAILURE = "/usr/local/lib/gpuhost/drift-failed"
SECRETS = "/etc/gpuhost/drift.env"
SSH_KEYGEN = "/usr/bin/ssh-keygen"
UNITS = tuple(f"/etc/systemd/system/{unit}" for unit in (SERVICE, TIMER, FAILED))
PATHS = (*UNITS, TELL_FAILURE)


def host_files(settings: Settings) -> tuple[HostFile, ...]:
    """The files that gpuhost writes, without the secrets, for settings with `drift_directory`."""
    values = {
        "directory": settings.drift_directory,
        "inventory": settings.drift_inventory,
        "at": settings.drift_at,
        "html": settings.drift_html,
        "metrics": settings.drift_metrics,
        "writable": [path for path in report_directories(settings) if not _is_at_home(path)],
        "path": ":".join(map(dirname, commands(settings))),
        "account": ACCOUNT,
        "home": HOME,
        "service": SERVICE,
        "failed": FAILED,
        "tell_failure": TELL_FAILURE,
        "secrets": SECRETS,
    }
    units = (HostFile(path, render(f"systemd/{path.rpartition('/')[2]}.j2", **values))
             for path in UNITS)  # fmt: skip
    return (*units, HostFile(TELL_FAILURE, _failed(), "0755"))


@cache
def _failed() -> str:
    return files("gpuhost.plans").joinpath("drift_failed.sh").read_text(encoding="utf-8")


def secrets_text(url: str) -> str:
    """The service's environment; single quotes, because systemd expands nothing in them."""
    return f"GPUHOST_NOTIFY='{url}'\n"


def commands(settings: Settings) -> tuple[str, ...]:
    """Where `gpuhost` is looked for on the control host, in this order."""
    own = f"{settings.drift_directory}/.venv/bin/gpuhost"
    return (own, "/usr/local/bin/gpuhost", "/usr/bin/gpuhost")


def inventory(settings: Settings) -> str:
    return f"{settings.drift_directory}/{settings.drift_inventory}"


def report_directories(settings: Settings) -> tuple[str, ...]:
    """Directories that the check writes in, besides its home."""
    named = (path for path in (settings.drift_html, settings.drift_metrics) if path)
    return tuple(sorted({dirname(path) for path in named} - {HOME}))


def _is_at_home(path: str) -> bool:
    return f"{path}/".startswith(f"{HOME}/")


def way_to(path: str) -> tuple[str, ...]:
    """The directories above a path, from the top."""
    parts = path.strip("/").split("/")[:-1]
    return tuple(f"/{'/'.join(parts[: count + 1])}" for count in range(len(parts)))


def may(state: PathState, letter: str) -> bool:
    """Whether the account may read (r), write (w) or enter and run (x) what this is.

    It is in no group but its own.
    """
    bit = {"r": 4, "w": 2, "x": 1}[letter]
    user, group, others = (int(digit) for digit in state.mode[-3:])
    if state.owner == ACCOUNT:
        return bool(user & bit)
    return bool((group if state.group == ACCOUNT else others) & bit)


def request(settings: Settings) -> Request:
    """What is read; on a host without the nightly check: files that an earlier one left behind."""
    plain = {HOME, KEY}
    if settings.drift_directory:
        looked_for = (*commands(settings), inventory(settings))
        plain |= {dirname(KEY), SSH_KEYGEN, settings.drift_directory, *looked_for}
        plain |= {*report_directories(settings)}
        plain |= {step for path in looked_for for step in way_to(path)}
    return Request(
        units=(TIMER,),
        managed=(*PATHS, SECRETS),
        plain=tuple(sorted(plain)),
        checkouts=(settings.drift_directory,) if settings.drift_directory else (),
    )


def writable_by_others(snapshot: Snapshot, settings: Settings) -> list[str]:
    """Paths of the checkout, or on the way to what it runs, that others than root and the account
    can change.

    Raises NotRead.
    """
    # 1: a file was removed meanwhile, or the checkout does not exist.
    return list(dict.fromkeys(snapshot.probes.output(CHECKOUTS, allow=(0, 1)).splitlines()))


def wrong_files(snapshot: Snapshot, settings: Settings) -> list[str]:
    """Our files that are missing, changed, or have another owner or mode."""
    return [
        file.path
        for file in host_files(settings)
        if path_state(snapshot, file.path) is None or not file.is_on(snapshot)
    ]


def missing_reports(snapshot: Snapshot, settings: Settings) -> list[str]:
    return [path for path in report_directories(settings) if path_state(snapshot, path) is None]


def unwritable_reports(snapshot: Snapshot, settings: Settings) -> list[str]:
    """Existing directories where the account may not write."""
    states = ((path, path_state(snapshot, path)) for path in report_directories(settings))
    return [path for path, state in states if state and not (may(state, "w") and may(state, "x"))]


def timer_unit(snapshot: Snapshot) -> Unit:
    return read_unit(snapshot.probes, TIMER)


def path_state(snapshot: Snapshot, path: str) -> PathState | None:
    """Raises NotRead if only root can read it."""
    state = snapshot.paths.get(path)
    if state is None and not snapshot.system.root:
        raise NotRead(f"{path}: only root can read it")
    return state
