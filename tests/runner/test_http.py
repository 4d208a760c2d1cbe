"""One request: what it sends, what comes back, and how it ends when nothing does."""

from __future__ import annotations

import socket
import struct
import threading
from functools import partial
from pathlib import Path

import pytest

from gpuhost.runner.site.http import MAX_BODY, NoAnswer, ask
from tests.runner.site import certificate, free_port, rude, serve


def test_an_answer() -> None:
    with serve() as site:
        site.says("/health?deep=1", "all \u00fc good\n", kind="text/plain; charset=utf-8")
        answer = ask(site.url("/health?deep=1"), seconds=10)
    assert (answer.status, answer.text) == (200, "all \u00fc good\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.beginning == "all \u00fc good"
    assert not answer.clipped


def test_what_is_sent() -> None:
    with serve() as site:
        ask(
            site.url("/tts"),
            method="POST",
            headers={"X-A": "b"},
            body='{"t": "\u00e9"}',
            seconds=10,
        )
    (asked,) = site.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/tts", '{"t": "\u00e9"}')
    assert asked.headers["X-A"] == "b"
    assert asked.headers["Host"] == f"127.0.0.1:{site.port}"


def test_a_path_as_a_person_writes_it() -> None:
    with serve() as site:
        ask(site.url("/gr\u00fc\u00dfe?a=b%20c&d=[1]"), seconds=10)
    assert site.asked[0].path == "/gr%C3%BC%C3%9Fe?a=b%20c&d=[1]"


def test_an_error_is_an_answer_and_a_redirect_is_not_followed() -> None:
    with serve() as site:
        site.replies["/old"] = (301, {"Location": "/new"}, b"")
        assert ask(site.url("/nothing"), seconds=10).status == 404
        answer = ask(site.url("/old"), seconds=10)
    assert (answer.status, answer.headers["location"]) == (301, "/new")
    assert [asked.path for asked in site.asked] == ["/nothing", "/old"]


def test_a_long_body_is_clipped() -> None:
    with serve() as site:
        site.says("/long", b"x" * (MAX_BODY + 5))
        site.says("/just", b"x" * MAX_BODY)
        long, just = (ask(site.url(path), seconds=30) for path in ("/long", "/just"))
    assert (len(long.body), long.clipped) == (MAX_BODY, True)
    assert (len(just.body), just.clipped) == (MAX_BODY, False)


def test_proxies_of_the_environment_are_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with serve() as site:
        site.says("/", "direct")
        assert ask(site.url(), seconds=10).text == "direct"


def test_a_site_is_asked_by_its_name_on_another_address() -> None:
    with serve() as site:
        site.says("/", "here")
        url = f"http://app.example.invalid:{site.port}/"
        assert ask(url, connect_to="127.0.0.1", seconds=10).text == "here"
    assert site.asked[0].headers["Host"] == f"app.example.invalid:{site.port}"


def test_refused() -> None:
    with pytest.raises(NoAnswer, match=r"^connection refused$"):
        ask(f"http://127.0.0.1:{free_port()}/", seconds=10)


def test_closed_before_an_answer() -> None:
    def close(taken: socket.socket) -> None:
        taken.recv(4096)

    with rude(close) as port, pytest.raises(NoAnswer, match=r"^connection reset before"):
        ask(f"http://127.0.0.1:{port}/", seconds=10)


def test_reset() -> None:
    def reset(taken: socket.socket) -> None:
        taken.recv(4096)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with rude(reset) as port, pytest.raises(NoAnswer, match=r"^connection reset before"):
        ask(f"http://127.0.0.1:{port}/", seconds=10)


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-A: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n",
    ],
    ids=["silent", "in the headers", "in the body", "in a chunk"],
)
@pytest.mark.slow
def test_one_that_never_ends_is_ended(beginning: bytes) -> None:
    """A byte now and then keeps every single read from timing out."""
    over = threading.Event()

    def drip(taken: socket.socket) -> None:
        taken.recv(4096)
        taken.sendall(beginning)
        while not over.wait(0.05):
            taken.sendall(b"x")

    with rude(drip) as port:
        try:
            with pytest.raises(NoAnswer, match=r"^timed out after 1 s$"):
                ask(f"http://127.0.0.1:{port}/", seconds=1)
        finally:
            over.set()


def test_half_an_answer_is_none() -> None:
    def half(taken: socket.socket) -> None:
        taken.recv(4096)
        taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    with rude(half) as port, pytest.raises(NoAnswer, match="in the middle of the answer"):
        ask(f"http://127.0.0.1:{port}/", seconds=10)


def test_one_that_says_nothing_is_ended() -> None:
    over = threading.Event()
    with rude(lambda taken: over.wait() and None) as port:
        try:
            with pytest.raises(NoAnswer, match=r"^timed out after 1 s$"):
                ask(f"http://127.0.0.1:{port}/", seconds=1)
        finally:
            over.set()


@pytest.mark.parametrize(
    "said", [b"no http at all\r\n\r\n", b"\x00\xff" * 40, b"HTTP/1.1 abc\r\n\r\n"]
)
def test_what_is_no_http_is_no_answer(said: bytes) -> None:
    def nonsense(taken: socket.socket) -> None:
        taken.recv(4096)
        taken.sendall(said)

    with rude(nonsense) as port, pytest.raises(NoAnswer, match="BadStatusLine"):
        ask(f"http://127.0.0.1:{port}/", seconds=10)


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/", "http://127.0.0.1:x/", "http://[::1/"])
def test_a_url_that_is_none_is_no_answer(url: str) -> None:
    with pytest.raises(NoAnswer):
        ask(url, seconds=10)


def test_a_service_of_this_host_is_not_asked_who_it_is(tmp_path: Path) -> None:
    with serve(*certificate(tmp_path, "elsewhere.example.invalid")) as site:
        site.says("/", "private")
        assert ask(site.url(), seconds=10).text == "private"


def test_a_site_has_to_show_its_own_certificate(tmp_path: Path) -> None:
    chain, key = certificate(tmp_path / "ours", "app.example.invalid")
    other, _ = certificate(tmp_path / "other", "app.example.invalid")
    with serve(chain, key) as site:
        site.says("/", "secure")
        url = f"https://app.example.invalid:{site.port}/"
        good = ask(url, connect_to="127.0.0.1", trusted=chain, seconds=10)
        with pytest.raises(NoAnswer, match=r"^the certificate is not good: "):
            ask(url, connect_to="127.0.0.1", trusted=other, seconds=10)
    assert good.text == "secure"
    assert site.names[0] == "app.example.invalid"


def test_a_certificate_for_another_name_is_not_good(tmp_path: Path) -> None:
    chain, key = certificate(tmp_path, "other.example.invalid")
    with serve(chain, key) as site, pytest.raises(NoAnswer, match="certificate is not good"):
        ask(
            f"https://app.example.invalid:{site.port}/",
            connect_to="127.0.0.1",
            trusted=chain,
            seconds=10,
        )


def test_a_certificate_for_another_name_is_good_where_that_is_said(tmp_path: Path) -> None:
    chain, key = certificate(tmp_path / "ours", "other.example.invalid")
    foreign, _ = certificate(tmp_path / "foreign", "other.example.invalid")
    with serve(chain, key) as site:
        site.says("/", "secure")
        url = f"https://localhost:{site.port}/"
        asked = partial(ask, url, connect_to="127.0.0.1", any_name=True, seconds=10)
        assert asked(trusted=chain).text == "secure"
        with pytest.raises(NoAnswer, match="certificate is not good"):
            asked(trusted=foreign)


def test_a_certificate_that_is_not_there_is_no_answer(tmp_path: Path) -> None:
    with serve() as site, pytest.raises(NoAnswer):
        ask(f"https://127.0.0.1:{site.port}/", trusted=tmp_path / "none.pem", seconds=10)
