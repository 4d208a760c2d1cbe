"""Notifications: their text, and services that fail."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from gpuhost.drift.report import HostDrift
from gpuhost.drift.since import compare, open_findings
from gpuhost.outputs import notify
from gpuhost.outputs.notify import Message, message, scheme, send, unusable
from tests.drift.receiver import TOKEN, Receiver, receiving
from tests.drift.reports import AT, SECRET, host, report, unreachable

HELLO = Message("a title", "a line\nand *another* <b>one</b>", "warning")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


def message_of(before: list[HostDrift], now: list[HostDrift]) -> Message:
    known, run = open_findings(report(*before), {}), report(*now)
    return message(run, compare(AT, known, open_findings(run, known)))


def test_the_message() -> None:
    found = message_of(
        [host("gpu1", swap_size="drift"), host("gpu2", a_b="ok"), host("gpu3", a_b="ok")],
        [host("gpu1", disk_full="warn"), host("gpu2", a_b="drift"), unreachable("gpu3")],
    )
    assert found == Message(
        "gpuhost drift: 3 new, 1 gone",
        "new gpu2: a.b (drift)\n"
        "new gpu3: host.read (unreachable)\n"
        "new gpu1: disk.full (warn)\n"
        "gone gpu1: swap.size (drift)\n"
        "\n"
        "3 hosts: 1 unreachable, 1 drift, 1 ok",
        "warning",
    )


def test_a_message_with_only_good_news() -> None:
    assert message_of([host("gpu1", a_b="drift")], [host("gpu1", a_b="ok")]).type == "success"


def test_a_long_message_is_cut() -> None:
    many = {f"a_{place:02}": "drift" for place in range(27)}
    lines = message_of([], [host("gpu1", **many)]).body.splitlines()
    assert lines[19:] == ["new gpu1: a.19 (drift)", "and 7 more", "", "1 host: 1 drift"]


def test_the_message_has_no_secret() -> None:
    """Actual and expected values and evidence are not sent."""
    every = {
        f"a_{kind}": kind
        for kind in ("drift", "never_applied", "pending", "warn", "unknown", "accepted")
    }
    found = message_of([host("gpu1", a_b="drift")], [host("gpu1", **every), unreachable("gpu2")])
    assert SECRET not in found.title + found.body
    assert "a.drift" in found.body


def test_a_hosts_name_is_on_one_line() -> None:
    body = message_of([], [host("gpu1\nnew gpu2\x1b[2J", a_b="drift")]).body
    assert body.startswith("new gpu1?new gpu2?［2J: a.b (drift)\n\n")


@pytest.mark.slow
def test_a_notification_arrives(receiver: Receiver) -> None:
    assert send([receiver.url(), receiver.url()], HELLO) == []
    assert len(receiver.got) == 2
    got = receiver.got[0]
    assert (got["title"], got["message"], got["type"]) == (HELLO.title, HELLO.body, "warning")


@pytest.mark.slow
def test_a_failed_service_does_not_affect_the_others(
    receiver: Receiver, capfd: pytest.CaptureFixture[str]
) -> None:
    receiver.got.clear()
    nobody = f"jsons://ada:{TOKEN}@127.0.0.1:9/x"
    urls = [receiver.url("refuse"), nobody, receiver.url()]
    assert send(urls, HELLO) == ["json", "jsons"]
    assert len(receiver.got) == 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_service_that_hangs(receiver: Receiver) -> None:
    began = time.monotonic()
    assert send([receiver.url("hang")], HELLO) == ["json"]
    assert time.monotonic() - began < 20


@pytest.mark.slow
def test_a_service_that_never_ends(receiver: Receiver) -> None:
    """Each byte arrives in time: only a limit for the whole answer stops it."""
    receiver.got.clear()
    began = time.monotonic()
    assert send([receiver.url("drip"), receiver.url()], HELLO, seconds=6) == ["json"]
    assert time.monotonic() - began < 15
    assert len(receiver.got) == 1


@pytest.mark.slow
def test_unusable_urls(receiver: Receiver, capfd: pytest.CaptureFixture[str]) -> None:
    good = [receiver.url(), "mailto://ada:pw@example.com", "dingtalk://aaaaaaaa"]
    bad = ["", TOKEN, f"nosuchservice://{TOKEN}", "slack://", f"https://example.com/{TOKEN}"]
    assert unusable([*good, *bad]) == [3, 4, 5, 6, 7]
    assert unusable(good) == []
    assert capfd.readouterr() == ("", "")


def test_a_notifier_that_does_not_start_has_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify.sys, "executable", "/bin/false")
    assert send(["json://127.0.0.1:9"], HELLO) == ["json"]


def test_a_token_is_not_in_the_argument_list(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    real = notify.subprocess.Popen

    def popen(argv: list[str], **options: object) -> object:
        seen.append(argv)
        return real(["/bin/true"], **options)

    monkeypatch.setattr(notify.subprocess, "Popen", popen)
    send([f"json://{TOKEN}@127.0.0.1:9"], HELLO)
    assert TOKEN not in str(seen)
    assert "notifier" in str(seen)


def test_scheme() -> None:
    assert scheme("MailTo://ada:pw@example.com") == "mailto"


def test_a_name_mentions_nobody_and_has_no_markup() -> None:
    """Of Slack, DingTalk, Feishu and WeCom, of Markdown and HTML."""
    name = "<!channel> @all <at user_id=all> [x](http://evil.example) **x** `x` ~x~ <b># "
    body = message_of([], [host(name, a_b="drift")]).body
    assert not set(body) & set("<>@[]*`~#|&")
    assert "channel" in body
