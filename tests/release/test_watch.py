"""Following a release from the controller: a broken connection changes nothing on the host."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import Any

import pytest
from paramiko import SSHException
from pyinfra.connectors.util import CommandOutput, OutputLine

from gpuhost.rollout import follower as module
from gpuhost.rollout import watch as watching
from gpuhost.rollout.connection import Connection
from gpuhost.rollout.detach import _print_and_exit
from gpuhost.rollout.follower import FollowTarget
from gpuhost.rollout.watch import watch

WATCHED = FollowTarget("tts", "20261122-010203-aabbccdd", "release", "gpu1")
RESULT = {
    "id": WATCHED.id, "app": "tts", "kind": "release", "state": "verified", "by": "me@here",
    "revision": "a" * 40, "inputs": "b" * 64, "started": 100.0, "ended": 141.0,
}  # fmt: skip
OURS = {"kind": "release", "id": WATCHED.id, "by": "me@here", "started": 1.0}
OTHER = {**OURS, "id": "other", "by": "ann@desk"}
Look = dict[str, Any] | Exception | str


def _look(state: str = "running", *lines: str, **more: Any) -> dict[str, Any]:
    offset = more.pop("offset", 10)
    answer = {"state": state, "offset": offset, "result": None, "holder": None, **more}
    return {"out": [json.dumps(answer), *lines]}


ENDED = _look("ended", "10:00:00 == up", "10:00:05 up", result=RESULT)


class FakeHost:
    """Returns these answers of `follow` in order; units and journal: systemd's output."""

    name = "gpu1"
    print_prefix = "[gpu1] "
    connected = True
    connector = None

    def __init__(self, *looks: Look, units: str = "inactive", journal: str = "") -> None:
        self.looks = list(looks)
        self.units, self.journal = units, journal
        self.said: list[str] = []
        self.asked: list[str] = []
        self.connector_data: dict[str, Any] = {}
        self.logins = 0

    def log(self, message: str, log_func: Any = None) -> None:
        self.said.append(message)

    def log_styled(self, message: str, log_func: Any = None, **style: Any) -> None:
        self.said.append(message)

    def connect(self, show_errors: bool) -> None:
        self.logins += 1

    def run_shell_command(self, command: Any, **how: Any) -> tuple[bool, CommandOutput]:
        line = command.get_raw_value()
        self.asked.append(line)
        assert how["_sudo"] is True
        if "systemctl" in line:
            return True, _output(stdout=self.units.split())
        if "journalctl" in line:
            return True, _output(stdout=self.journal.splitlines())
        look = self.looks.pop(0)
        if isinstance(look, Exception):
            raise look
        if isinstance(look, str):
            return False, _output(stderr=look.splitlines())
        return True, _output(stdout=look["out"])


def _output(**buffers: list[str]) -> CommandOutput:
    return CommandOutput(
        [OutputLine(name, line) for name, lines in buffers.items() for line in lines]
    )


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PAUSE_SECONDS", "RECONNECT_PAUSE"):
        monkeypatch.setattr(module, name, 0)


def _watched(*looks: Look, **systemd: str) -> tuple[bool, FakeHost]:
    host: Any = FakeHost(*looks, **systemd)
    return watch(host, WATCHED, {"_sudo": True}), host


def test_each_poll_continues_at_the_last_offset() -> None:
    good, host = _watched(_look(offset=7), _look(offset=9), ENDED)
    assert good
    assert [line.split()[-2] for line in host.asked] == ["0", "7", "9"]
    assert all(line.startswith("LC_ALL=C timeout ") for line in host.asked)
    assert host.said[0] == "  up           5 s"


def test_a_failed_release() -> None:
    good, host = _watched(_look("ended", result={**RESULT, "state": "restored", "said": "no"}))
    assert not good
    assert any("failed: no" in line for line in host.said)


def test_a_result_that_is_good_for_the_caller() -> None:
    host: Any = FakeHost(_look("ended", result={**RESULT, "state": "restored", "said": "no"}))
    target = FollowTarget("tts", WATCHED.id, "abort", "gpu1")
    assert watch(host, target, {"_sudo": True}, lambda result: result.state == "restored")


@pytest.mark.parametrize(
    "broken",
    [SSHException("x"), EOFError(), OSError("Socket is closed"), TimeoutError(), "",
     {"out": []}, {"out": ["Welcome to gpu1"]}, {"out": ['{"state": "ended"']}, {"out": ["[]"]}],
    ids=lambda broken: repr(broken)[:30],
)  # fmt: skip
def test_a_broken_connection_is_restored(broken: Look) -> None:
    good, host = _watched(_look(offset=7), broken, broken, ENDED)
    assert good
    assert host.logins == 2
    assert host.asked[-1].split()[-2] == "7"
    lost = "no answer; the release continues on gpu1; retrying for 600 s"
    assert host.said[:2] == [lost, "reconnected"]


def test_the_host_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "RECONNECT_SECONDS", -1)
    good, host = _watched(SSHException("x"))
    assert not good
    assert host.said[0] == "no answer from gpu1 for -1 s"
    assert "the release may still run on the host; follow it: gpuhost logs " in host.said[1]


def test_an_error_of_the_command_does_not_reconnect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    good, host = _watched("python3: not now", ENDED)
    assert (good, host.logins) == (True, 0)
    monkeypatch.setattr(watching, "RECONNECT_SECONDS", -1)
    good, host = _watched("python3: \x1b[1mnot found")
    assert not good
    assert host.said[0].endswith("python3: not found")


def test_an_interrupted_release_is_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    good, host = _watched(_look("lost", holder=OURS), _look("lost", holder=OURS), _look(), ENDED)
    assert good
    monkeypatch.setattr(module, "RESUMED_WITHIN_SECONDS", -1)
    good, _ = _watched(_look("lost", holder=OURS), ENDED, units="inactive activating")
    assert good
    good, host = _watched(_look("lost", holder=OURS), journal="killed")
    assert not good
    assert host.said[0] == "the release ended without a result: killed"


def test_another_operation_is_finished_first_and_its_progress_is_shown() -> None:
    lost = _look("lost", holder=OTHER, offset=0)
    other_result = {**RESULT, "id": "other", "by": "ann@desk"}
    good, host = _watched(
        lost,
        _look("lost", holder=OTHER, offset=0),
        _look("running", "10:00:00 == build", "10:09:00 == up", holder=OTHER),
        _look("ended", "10:09:05 == keep", result=other_result),
        _look(offset=0),
        ENDED,
        units="active",
    )
    assert good
    follows = [line.split()[-3] for line in host.asked if "follow" in line]
    assert follows == [WATCHED.id, "other", "other", "other", WATCHED.id, WATCHED.id]
    assert host.said[:5] == [
        "the host first finishes or undoes an interrupted release other by ann@desk, since "
        "1970-01-01 00:00:01 UTC",
        "  build        9 min 00 s",
        "  up           5 s",
        "  keep         0 s",
        "release other verified after 41 s (revision aaaaaaaaaaaa)",
    ]
    assert sum("an interrupted release" in line for line in host.said) == 1


def test_the_watched_release_goes_on_if_the_other_cannot_be_followed() -> None:
    """The other one was damaged: it has no result."""
    gone = _look("lost", offset=0)
    lost = _look("lost", holder=OTHER, offset=0)
    good, host = _watched(lost, gone, _look(offset=0), ENDED, journal="damaged")
    assert good
    assert "the release ended without a result: damaged" in host.said


def test_the_release_never_started() -> None:
    good, host = _watched(_look("lost", offset=0), journal="plan.json: format 2\n\x1b[1mbad")
    assert not good
    assert host.said[0] == "the release ended without a result: plan.json: format 2; bad"


def test_sigint_is_handled_only_while_a_release_is_followed() -> None:
    handlers: list[Any] = []

    def look() -> None:
        handlers.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    host: Any = _HostWithCallback(ENDED, look=look)
    assert watch(host, WATCHED, {"_sudo": True})
    assert handlers == [_print_and_exit]
    assert signal.getsignal(signal.SIGINT) is before
    failing: Any = _HostWithCallback(SSHException("x"), look=_fail)
    with pytest.raises(ZeroDivisionError):
        watch(failing, WATCHED, {"_sudo": True})
    assert signal.getsignal(signal.SIGINT) is before


class _HostWithCallback(FakeHost):
    def __init__(self, *looks: Look, look: Callable[[], None]) -> None:
        super().__init__(*looks)
        self.look = look

    def run_shell_command(self, command: Any, **how: Any) -> tuple[bool, CommandOutput]:
        self.look()
        return super().run_shell_command(command, **how)


def _fail() -> None:
    raise ZeroDivisionError


CONTROL = "\x1b]0;owned\x07\x9b31m\u202egnp\u200b"
HOSTILE = {
    "control": _look("ended", CONTROL, result=dict.fromkeys(RESULT, CONTROL)),
    "numbers": _look("ended", result={**RESULT, "started": 10**300, "ended": -5.5, "gap_s": 1e308}),
    "long": _look("ended", result={**RESULT, "state": "failed", "said": "x" * 10**6}),
    "types": _look("ended", result={name: [{}] for name in RESULT}),
    "holder": _look("lost", holder={**OTHER, "started": 1e200, "by": CONTROL}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_status_files(name: str) -> None:
    good, host = _watched(HOSTILE[name], HOSTILE[name], ENDED, ENDED)
    assert good == (name in ("numbers", "holder"))
    assert all(line.isprintable() and len(line) < 10_000 for line in host.said), host.said


@pytest.mark.parametrize(
    "text",
    ['{"state": NaN}', '{"offset": 1e999}', "[" * 10**5, '{"state": "nonsense", "offset": 1}',
     '{"state": "ended", "offset": {}, "result": 0, "holder": 0}', "9" * 10**5],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_hostile_answers_are_no_answers(text: str) -> None:
    good, _ = _watched({"out": [text]}, ENDED)
    assert good


@pytest.mark.parametrize(
    ("target", "limit", "step"),
    [(FollowTarget("tts", WATCHED.id, "release", "gpu1", limit_s=3600), 3600, 100),
     (WATCHED, module.UNKNOWN_LIMIT_SECONDS, 10_000)],
)  # fmt: skip
def test_a_release_that_never_ends_is_left_after_its_limit(
    monkeypatch: pytest.MonkeyPatch, target: FollowTarget, limit: int, step: int
) -> None:
    clock = iter(range(0, 10**6, step))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(clock)))
    host: Any = FakeHost(*[_look()] * 1000)
    assert not watch(host, target, {"_sudo": True})
    assert any(f"it has not ended within {2 * limit} s" in line for line in host.said)
    assert len(host.looks) > 800


def test_a_log_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10**6, 10))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(clock)))
    offsets = iter(range(1, 10**6))

    class Endless(Connection):
        def run(self, *words: str | int, seconds: int) -> list[str]:
            return list(_look(offset=next(offsets))["out"])

        def reconnect(self) -> None:
            raise AssertionError

    follower = module.LogFollower(Endless(), WATCHED, lambda _: None, patience=0)
    with pytest.raises(module.FollowError, match="its log did not end within 600 s"):
        for _ in follower.available():
            pass
