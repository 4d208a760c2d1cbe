"""A run that continues after a failure: what failed, what is skipped because of it, and the end.

An operation that fails stops only those that need it. pyinfra itself would end the host at the
first failure: the operations of such a run get `_ignore_errors`, and the last one fails the host.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from pyinfra import logger
from pyinfra.api import BaseStateCallback, State
from pyinfra.api.command import PyinfraCommand, StringCommand
from pyinfra.api.host import Host

from gpuhost.checks.finding import Finding, Status

# Module and function of an operation -> the nouns (modules) and operations that it needs.
# `docker.daemon_json` does not need `docker.engine`: it may repair what keeps the engine from
# starting.
NEEDS: dict[str, tuple[str, ...]] = {
    "nvidia.load": ("nvidia.driver",),
    "nvidia_mig.layout": ("nvidia.driver", "nvidia.load"),
    "nvidia_upkeep.fabric_manager": ("nvidia.driver",),
    "nvidia_upkeep.persistence": ("nvidia.driver",),
    "toolkit.cdi": ("nvidia.driver", "nvidia.load", "toolkit.packages"),
    "toolkit.proof": ("docker", "nvidia.driver", "nvidia.load", "toolkit.packages"),
    "build.apt_cache": ("docker",),
    "app.release": ("docker", "nvidia", "nvidia_mig", "toolkit", "nginx", "app_tools"),
}
# Operations that need these skip what uses apt: each would wait for the same lock.
PACKAGES = "system.packages"
# Their failure is a finding of the verification, and no more.
ONLY_FINDINGS = ("toolkit.cdi", "toolkit.proof")


@dataclass
class Failures:
    """What went wrong on one host: name of an operation by its key, and reasons of skips by name.

    + keys: by pyinfra's hash of the operation
    + findings: nouns with a check that failed at the verification
    """

    keys: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    findings: set[str] = field(default_factory=set)

    def reason(self, key: str) -> str | None:
        """Why this operation cannot run; None: it can."""
        return next((self._of(need) for need in NEEDS.get(key, ()) if self._of(need)), None)

    def _of(self, need: str) -> str | None:
        for key, name in self.failed.items():
            if need in (key, key.partition(".")[0]):
                # Of what was skipped itself: the reason is the same.
                return self.skipped.get(name) or f"{name} failed"
        return f"{need} is not verified" if need in self.findings else None


_failures: WeakKeyDictionary[Host, Failures] = WeakKeyDictionary()


class _NoteFailures(BaseStateCallback):
    @staticmethod
    def operation_host_error(
        state: State, host: Host, op_hash: str, retry_count: int = 0, max_retries: int = 0
    ) -> None:
        failures = _failures.get(host)
        if failures is not None:
            name = ", ".join(sorted(state.get_op_meta(op_hash).names))
            key = failures.keys.get(op_hash, name)
            if key not in ONLY_FINDINGS:
                failures.failed[key] = name


def continue_after_failures(state: State, host: Host) -> None:
    """From now on, a failure on this host stops only what needs it."""
    _failures.setdefault(host, Failures())
    if not any(isinstance(handler, _NoteFailures) for handler in state.callback_handlers):
        state.add_callback_handler(_NoteFailures())


def continues(host: Host) -> bool:
    return host in _failures


def skip_reason(state: State, host: Host, key: str) -> str | None:
    """Note that an operation begins; the reason, if it must be skipped instead."""
    failures, op_hash = _failures.get(host), host.executing_op_hash
    if failures is None or op_hash is None:
        return None
    failures.keys[op_hash] = key
    return _note(state, host, failures, failures.reason(key))


def lacks_packages(state: State, host: Host, command: PyinfraCommand | str) -> bool:
    """Whether a command uses apt, which is known not to work; the rest is skipped."""
    failures = _failures.get(host)
    if failures is None or PACKAGES not in failures.failed or not _uses_apt(command):
        return False
    return bool(_note(state, host, failures, f"{failures.failed[PACKAGES]} failed"))


def _note(state: State, host: Host, failures: Failures, reason: str | None) -> str | None:
    if reason and host.executing_op_hash:
        name = ", ".join(sorted(state.get_op_meta(host.executing_op_hash).names))
        failures.skipped[name] = reason
        # What needs this one is skipped too, for the same reason.
        failures.failed.setdefault(failures.keys[host.executing_op_hash], name)
        logger.warning(f"{host.print_prefix}skipped: {reason}")
    return reason


def _uses_apt(command: PyinfraCommand | str) -> bool:
    if not isinstance(command, StringCommand):
        return "apt-get" in str(command)
    return "apt-get" in f"{command} {command.connector_arguments.get('_stdin', '')}"


def note_findings(host: Host, findings: Iterable[Finding]) -> None:
    """Apps are not released on an engine, a driver or an nginx whose checks fail."""
    if (failures := _failures.get(host)) is not None:
        failures.findings = {
            finding.id.partition(".")[0] for finding in findings if finding.status is Status.FAIL
        }


def blocks_apps(host: Host) -> str | None:
    """Why no app can be released on this host; None: nothing is known against it."""
    failures = _failures.get(host)
    return failures.reason("app.release") if failures else None


def summary(host: Host) -> Iterator[str]:
    """A line for each operation that failed or was skipped, in order."""
    failures = _failures.get(host) or Failures()
    for name in failures.failed.values():
        reason = failures.skipped.get(name)
        yield f"skipped: {name}: {reason}" if reason else f"failed: {name}"
