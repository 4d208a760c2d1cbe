"""The record of what was applied: its content, and when it is written."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any

import pytest
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

from gpuhost.checks.finding import Finding, Status
from gpuhost.checks.registry import run_checks
from gpuhost.drift.applied import (
    SOME_PROXY,
    document,
    document_without,
    proxy_changed,
    recorded_settings,
    to_record,
)
from gpuhost.operations import applied, drift_installed
from gpuhost.settings import Settings, fields
from gpuhost.snapshot import NotRead
from gpuhost.snapshot.applied import APPLIED, Applied
from tests.recorded import probes, raw, snapshot_of

PASSWORD = "http://ada:pa55word@proxy.example.com:3128"


def finding(id: str, status: Status) -> Finding:
    return Finding(status, id=id)


def record(text: str | None) -> Applied:
    """The record as the next reading parses it."""
    assert text is not None
    found = Applied.read(probes("debian13", files={APPLIED: text}))
    assert found is not None
    return found


def written(
    before: Applied | None, settings: Settings, at: int = 100, **statuses: Status
) -> str | None:
    findings = [finding(id.replace("_", "."), status) for id, status in statuses.items()]
    return document(before, settings, findings, at=at, by="ada@desk")


def test_only_ok_and_warning_checks_are_recorded() -> None:
    found = record(
        written(
            None,
            Settings(),
            swap_size=Status.OK,
            swap_boot=Status.SKIP,
            disk_free=Status.WARN,
            docker_config=Status.FAIL,
            nvidia_state=Status.UNKNOWN,
        )
    )
    assert set(found.findings) == {"swap.size", "swap.boot"}
    assert set(found.warned) == {"disk.free"}
    assert (found.at, found.by) == (100, "ada@desk")
    assert found.settings_of("swap.size") == to_record(Settings())
    assert found.settings_of("docker.config") is None


def test_a_warning_is_recorded_beside_an_earlier_ok() -> None:
    old, new = Settings(swap_size_gb=8), Settings(swap_size_gb=4)
    first = record(written(None, old, disk_full=Status.OK))
    second = record(written(first, new, disk_full=Status.WARN))
    assert second.settings_of("disk.full") == to_record(old)
    assert second.settings_unfailed("disk.full") == to_record(new)
    assert written(second, new, at=999, disk_full=Status.WARN) is None
    assert written(second, new, at=999, disk_full=Status.FAIL) is None
    third = record(written(second, new, disk_full=Status.OK))
    assert (third.settings, third.warned) == ((to_record(new),), {})
    assert record(document_without(second, frozenset({"disk"}))).warned == {}


def test_a_check_that_skips_for_now_keeps_its_entry() -> None:
    old, new = Settings(swap_size_gb=8), Settings(swap_size_gb=4)
    before = record(written(None, old, docker_live=Status.OK, docker_swap=Status.WARN))
    ids = ("docker.live", "docker.swap")
    stopped = [Finding(Status.SKIP, id=id, later=True) for id in ids]
    assert document(before, new, stopped, at=999, by="ada@desk") is None
    assert set(record(document(None, new, stopped, at=1, by="ada@desk")).findings) == {*ids}


def test_a_record_without_warnings() -> None:
    text = written(None, Settings(), swap_size=Status.OK)
    assert text is not None and "warned" not in json.loads(text)
    assert record(text).settings_unfailed("swap.size") == to_record(Settings())
    assert record(text).settings_unfailed("disk.full") is None


def test_an_unchanged_record_is_not_written() -> None:
    first = record(written(None, Settings(), swap_size=Status.OK))
    assert written(first, Settings(), at=999, swap_size=Status.OK) is None
    # Nor with a failing check: it was ok with the same settings.
    assert written(first, Settings(), at=999, swap_size=Status.FAIL) is None


def test_a_failing_check_keeps_the_settings_with_which_it_was_ok() -> None:
    old, new = Settings(swap_size_gb=8), Settings(swap_size_gb=4)
    first = record(written(None, old, swap_size=Status.OK, swap_mode=Status.OK))
    second = record(written(first, new, swap_size=Status.FAIL, swap_mode=Status.OK))
    assert second.settings_of("swap.size") == to_record(old)
    assert second.settings_of("swap.mode") == to_record(new)
    # Settings without a reference are removed.
    third = record(written(second, new, swap_size=Status.OK, swap_mode=Status.OK))
    assert third.settings == (to_record(new),)


def test_a_removed_noun_is_forgotten() -> None:
    first = record(written(None, Settings(), swap_size=Status.OK, docker_config=Status.OK))
    assert set(record(document_without(first, frozenset({"swap"}))).findings) == {"docker.config"}
    assert document_without(first, frozenset({"firewall"})) is None
    assert document_without(None, frozenset({"swap"})) is None


def test_passwords_are_not_recorded() -> None:
    text = written(None, Settings(proxy_http=PASSWORD), swap_size=Status.OK)
    assert text is not None
    assert "pa55word" not in text
    assert "ada:" not in text


TOKEN = {"PIP_INDEX_URL": "https://ada:t0ken@packages.example.com/simple"}


def test_build_arguments_are_only_hashed() -> None:
    settings = Settings(build_args=TOKEN)
    text = written(None, settings, swap_size=Status.OK)
    assert text is not None
    assert "PIP_INDEX_URL" in text and "t0ken" not in text
    # An earlier version recorded them in clear text, also for failing checks.
    was = json.loads(text)
    was["settings"][0]["build_args"] = TOKEN
    before = record(json.dumps(was))
    for again in (
        written(before, settings, at=999, swap_size=Status.OK),
        written(before, settings, at=999, swap_size=Status.FAIL),
    ):
        assert again is not None and "t0ken" not in again
        assert written(record(again), settings, at=999, swap_size=Status.FAIL) is None


def test_the_record_is_only_read_as_root() -> None:
    denied = f"grep: {APPLIED}: Permission denied\n"
    for identity, rc, is_error in (("1000", 2, False), ("0", 2, True), ("1000", None, True)):
        changed = {"identity": {"out": f"{identity}\n"}, "files": {"rc": rc, "err": denied}}
        found = probes("debian13", changed=changed)
        with pytest.raises(NotRead) if is_error else nullcontext():
            assert Applied.read(found) is None


def commands(operation: Any, text: str | None, mode: str) -> list[str]:
    """The commands of an operation on a host with this record and mode."""
    state = FakeState()
    paths = {"out": f"{mode} root root 9 1795299407 regular file {APPLIED}\n"}
    case = {
        "host": "debian13",
        "files": {APPLIED: text},
        "probes": {"paths": paths if text else {}},
    }
    host = create_host(state, facts={"snapshot.Snapshot": raw(case)})
    state.ops = {host: {}}
    with ctx_state.use(state), ctx_host.use(host):
        return [one.get_raw_value() for one in operation._inner(settings=Settings())]


@pytest.mark.parametrize("operation", [applied.record, drift_installed.record])
def test_the_record_is_written_with_mode_600(operation: Any) -> None:
    (new,) = commands(operation, None, "644")
    assert new.endswith(f"{APPLIED} 0600")


def test_the_mode_of_a_readable_record_is_repaired() -> None:
    good = run_checks(snapshot_of({"host": "debian13"}), Settings(), ["drift"])
    text = document(None, Settings(), good, at=1, by="ada@desk")
    (closed,) = commands(drift_installed.record, text, "644")
    assert closed.endswith(f"chmod 0600 -- {APPLIED}")
    assert commands(drift_installed.record, text, "600") == []


def test_recorded_settings_are_restored() -> None:
    then = Settings(swap_size_gb=8, firewall_allow=("80/tcp",), proxy_http=PASSWORD)
    values = json.loads(json.dumps(to_record(then)))
    today = Settings(swap_size_gb=4, proxy_http=PASSWORD)
    assert recorded_settings(values, today) == then
    # No check uses build arguments.
    with_arguments = today.model_copy(update={"build_args": TOKEN})
    assert recorded_settings(json.loads(json.dumps(to_record(with_arguments))), today) == today
    # Of a proxy, only its hash is recorded; no proxy is recorded as none.
    other = Settings(proxy_http="http://10.0.0.9:3128", proxy_https="http://10.0.0.9:3128")
    assert recorded_settings(values, other) == then.model_copy(update={"proxy_http": SOME_PROXY})
    assert proxy_changed(values, other)
    assert not proxy_changed(values, today)
    # A removed setting, a newer one, and one with a value that is no longer valid.
    assert recorded_settings({**values, "swap_gone": 1}, today) == then
    older = {name: value for name, value in values.items() if name != "swap_swappiness"}
    assert recorded_settings(older, today) == then
    assert recorded_settings({**values, "swap_swappiness": 900}, today) is None


def test_every_setting_that_describes_a_host_is_recorded() -> None:
    left_out = set(fields()) - set(to_record(Settings()))
    assert left_out == {"adopt", "app_batch", "apps", "drift_ignore", "drift_watch"}


def test_an_invalid_record() -> None:
    good = written(None, Settings(), swap_size=Status.OK)
    assert good is not None
    document = json.loads(good)
    for text in (
        None,
        "",
        "{",
        "[]",
        json.dumps({**document, "format": 2}),
        json.dumps({**document, "findings": {"swap.size": 1}}),
        json.dumps({**document, "findings": {"swap.size": -1}}),
        json.dumps({**document, "settings": [1]}),
        json.dumps({**document, "warned": {"disk.full": 1}}),
        json.dumps({**document, "warned": ["disk.full"]}),
        # Times outside the range of datetime, and 1e999, which is infinite.
        *(json.dumps({**document, "at": at}) for at in (10**18, 2**33, -1, float("inf"))),
        good.replace('"at": 100', '"at": 1e999'),
        good.replace('"swap.size": 0', '"swap.size": 1e999'),
        "[" * 100_000,
    ):
        assert Applied.read(probes("debian13", files={APPLIED: text})) is None, text
