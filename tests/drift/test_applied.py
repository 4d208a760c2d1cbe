"""The record of what was applied: what is kept in it, and when it is written anew."""

from __future__ import annotations

import json

from gpuhost.applied import (
    SOME_PROXY,
    document,
    document_without,
    is_other_proxy,
    kept,
    settings_then,
)
from gpuhost.checks.finding import Finding, Status
from gpuhost.settings import Settings, fields
from gpuhost.snapshot.applied import APPLIED, Applied
from tests.recorded import probes

PASSWORD = "http://ada:pa55word@proxy.example.com:3128"


def finding(id: str, status: Status) -> Finding:
    return Finding(status, id=id)


def record(text: str | None) -> Applied:
    """As the host's next reading has it."""
    assert text is not None
    found = Applied.read(probes("debian13", files={APPLIED: text}))
    assert found is not None
    return found


def written(
    before: Applied | None, declared: Settings, at: int = 100, **statuses: Status
) -> str | None:
    findings = [finding(id.replace("_", "."), status) for id, status in statuses.items()]
    return document(before, declared, findings, at=at, by="ada@desk")


def test_only_what_was_good_is_on_record() -> None:
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
    assert (found.at, found.by) == (100, "ada@desk")
    assert found.settings_of("swap.size") == kept(Settings())
    assert found.settings_of("docker.config") is None


def test_the_same_again_is_not_written() -> None:
    first = record(written(None, Settings(), swap_size=Status.OK))
    assert written(first, Settings(), at=999, swap_size=Status.OK) is None
    # Neither is what fails now: it was good by these settings.
    assert written(first, Settings(), at=999, swap_size=Status.FAIL) is None


def test_what_fails_keeps_the_settings_by_which_it_was_good() -> None:
    old, new = Settings(swap_size_gb=8), Settings(swap_size_gb=4)
    first = record(written(None, old, swap_size=Status.OK, swap_mode=Status.OK))
    second = record(written(first, new, swap_size=Status.FAIL, swap_mode=Status.OK))
    assert second.settings_of("swap.size") == kept(old)
    assert second.settings_of("swap.mode") == kept(new)
    # Settings that nothing refers to any more are gone.
    third = record(written(second, new, swap_size=Status.OK, swap_mode=Status.OK))
    assert third.settings == (kept(new),)


def test_what_is_taken_away_is_forgotten() -> None:
    first = record(written(None, Settings(), swap_size=Status.OK, docker_config=Status.OK))
    assert set(record(document_without(first, frozenset({"swap"}))).findings) == {"docker.config"}
    assert document_without(first, frozenset({"firewall"})) is None
    assert document_without(None, frozenset({"swap"})) is None


def test_no_password_is_on_record() -> None:
    text = written(None, Settings(proxy_http=PASSWORD), swap_size=Status.OK)
    assert text is not None
    assert "pa55word" not in text
    assert "ada:" not in text


def test_settings_come_back_as_they_were_declared() -> None:
    then = Settings(
        swap_size_gb=8, firewall_allow=("80/tcp",), build_args={"A": "b"}, proxy_http=PASSWORD
    )
    values = json.loads(json.dumps(kept(then)))
    today = Settings(swap_size_gb=4, proxy_http=PASSWORD)
    assert settings_then(values, today) == then
    # Of another proxy only the hash is known, of none that there was none.
    other = Settings(proxy_http="http://10.0.0.9:3128", proxy_https="http://10.0.0.9:3128")
    assert settings_then(values, other) == then.model_copy(update={"proxy_http": SOME_PROXY})
    assert is_other_proxy(values, other)
    assert not is_other_proxy(values, today)
    # A setting that is gone, one that came later, and one that is no longer allowed.
    assert settings_then({**values, "swap_gone": 1}, today) == then
    older = {name: value for name, value in values.items() if name != "swap_swappiness"}
    assert settings_then(older, today) == then
    assert settings_then({**values, "swap_swappiness": 900}, today) is None


def test_every_setting_that_describes_a_host_is_on_record() -> None:
    left_out = set(fields()) - set(kept(Settings()))
    assert left_out == {"adopt", "app_batch", "apps", "drift_ignore"}


def test_a_record_that_is_none() -> None:
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
        # Times that datetime does not know, and 1e999 is no number at all.
        *(json.dumps({**document, "at": at}) for at in (10**18, 2**33, -1, float("inf"))),
        good.replace('"at": 100', '"at": 1e999'),
        good.replace('"swap.size": 0', '"swap.size": 1e999'),
        "[" * 100_000,
    ):
        assert Applied.read(probes("debian13", files={APPLIED: text})) is None, text
