"""How `auto` uses the answers of its candidates; the host is a fake with scripted replies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from pyinfra.api import StringCommand
from pyinfra.connectors.util import CommandOutput, OutputLine

from gpuhost.domain.apt.record import Record
from gpuhost.operations.apt import _use_first_working_mirror
from gpuhost.settings import Settings
from tests.recorded import snapshot_of

FRESH = "ok\tSat, 21 Nov 2026 12:00:00 UTC"
OLD = "ok\tSat, 21 Feb 2026 12:00:00 UTC"
DEAD = "failed\tE: Failed to fetch: Could not connect"
CANDIDATES = ("aliyun", "tuna", "ustc")


@dataclass
class FakeHost:
    """A host with an answer for each candidate, and the base URLs with which an update fails."""

    answers: dict[str, str]
    broken: tuple[str, ...] = ()
    current_op_global_arguments: dict[str, Any] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    record: Record | None = None
    said: list[str] = field(default_factory=list)

    def run_shell_command(self, command: StringCommand, **how: Any) -> tuple[bool, CommandOutput]:
        line = command.get_raw_value()
        self.commands.append(line)
        if "record.json" in line:
            self.record = Record.from_json(how["_stdin"])
        if "InRelease" in line:
            urls = [word for word in line.split() if word.endswith("/InRelease")]
            return _reply("stdout", *(f"{url}\t{self._answer(url)}" for url in urls))
        failing = [base for base in self.broken if f" to {base} " in line]
        return (False, _reply("stderr", "E: 404  Not Found")[1]) if failing else _reply("stdout")

    def _answer(self, url: str) -> str:
        return next(answer for name, answer in self.answers.items() if name in url)

    def log(self, line: str) -> None:
        self.said.append(line)

    def log_styled(self, line: str, **style: Any) -> None:
        self.said.append(line)


def _reply(buffer: str, *lines: str) -> tuple[bool, CommandOutput]:
    return True, CommandOutput([OutputLine(buffer, line) for line in lines])


def choose(host: FakeHost, **settings: Any) -> bool:
    settings = Settings(apt_mirror="auto", apt_mirror_candidates=CANDIDATES, **settings)
    return _use_first_working_mirror(None, host, snapshot_of({"host": "debian13"}), settings)  # type: ignore[arg-type]


def switches(host: FakeHost) -> list[str]:
    return [line.split(" to ")[1].split()[0] for line in host.commands if " to " in line]


@pytest.mark.parametrize(
    ("aliyun", "tuna", "ustc", "broken", "chosen", "passed_over"),
    [
        (FRESH, FRESH, FRESH, (), "aliyun", []),
        (DEAD, FRESH, FRESH, (), "tuna", ["aliyun"]),
        (OLD, DEAD, FRESH, (), "ustc", ["aliyun", "tuna"]),
        (FRESH, FRESH, FRESH, ("https://mirrors.aliyun.com",), "tuna", ["aliyun"]),
        (OLD, OLD, OLD, (), "", ["aliyun", "tuna", "ustc"]),
        (DEAD, DEAD, FRESH, ("https://mirrors.ustc.edu.cn",), "", ["aliyun", "tuna", "ustc"]),
    ],
)
def test_the_first_candidate_that_is_reachable_and_fresh_and_updates(
    aliyun: str,
    tuna: str,
    ustc: str,
    broken: tuple[str, ...],
    chosen: str,
    passed_over: list[str],
) -> None:
    host = FakeHost({"aliyun": aliyun, "tuna": tuna, "ustc": ustc}, broken)
    assert choose(host)
    assert host.record is not None
    assert host.record.mirror == chosen
    assert list(host.record.passed_over) == passed_over
    assert host.record.setting == "auto: aliyun tuna ustc"
    assert [line for line in host.said if "is skipped" in line] == [
        f"{name} is skipped: {host.record.passed_over[name]}" for name in passed_over
    ]


def test_all_candidates_are_asked_for_the_suites_in_use_in_one_command() -> None:
    host = FakeHost({"mirrors": FRESH})
    choose(host)
    requests = [line for line in host.commands if "InRelease" in line]
    assert len(requests) == 1
    for name in ("mirrors.aliyun.com", "mirrors.tuna.tsinghua.edu.cn", "mirrors.ustc.edu.cn"):
        assert f"https://{name}/debian/dists/trixie/InRelease" in requests[0]
        assert f"https://{name}/debian/dists/trixie-updates/InRelease" in requests[0]
    assert "trixie-security" not in requests[0]


def test_security_is_asked_for_if_it_comes_from_the_mirror() -> None:
    host = FakeHost({"mirrors": FRESH})
    choose(host, apt_mirror_security=True)
    assert "/debian-security/dists/trixie-security/InRelease" in host.commands[0]


def test_if_the_update_fails_the_next_candidate_is_tried() -> None:
    host = FakeHost({"mirrors": FRESH}, ("https://mirrors.aliyun.com",))
    assert choose(host)
    assert switches(host) == ["https://mirrors.aliyun.com", "https://mirrors.tuna.tsinghua.edu.cn"]


def test_sudo_is_used_if_the_operation_uses_it() -> None:
    seen: list[dict[str, Any]] = []

    class Sudo(FakeHost):
        def run_shell_command(self, command: StringCommand, **how: Any) -> Any:
            seen.append(how)
            return super().run_shell_command(command, **how)

    given = {"_sudo": True, "_sudo_password": "hunter2", "_stdin": None, "name": "Packages"}
    choose(Sudo({"mirrors": FRESH}, current_op_global_arguments=given))
    assert len(seen) > 2
    assert all(how["_sudo"] and how["_sudo_password"] == "hunter2" for how in seen)
    # The input of the script replaces that of the operation.
    assert [how for how in seen if how["_stdin"]]
    assert not any("name" in how for how in seen)
