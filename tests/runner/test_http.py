"""One HTTP request: what it sends, its answer, and how it fails without one."""

from __future__ import annotations

import socket
import struct
import threading
from functools import partial
from pathlib import Path

import pytest

from gpuhost.runner.site.http import MAX_BODY, NoAnswer, ask
from tests.runner.site import certificate, free_port, raw_server, serve


def test_the_answer() -> None:
    with serve() as site:
        site.says("/health?deep=1", "all \u00fc good\n", kind="text/plain; charset=utf-8")
        answer = ask(site.url("/health?deep=1"), seconds=10)
    assert (answer.status, answer.text) == (200, "all \u00fc good\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert not answer.clipped


def test_the_request() -> None:
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


def test_a_path_with_special_characters_is_encoded() -> None:
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


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with serve() as site:
        site.says("/", "direct")
        assert ask(site.url(), seconds=10).text == "direct"


def test_connect_to_keeps_the_host_name() -> None:
    with serve() as site:
        site.says("/", "here")
        url = f"http://app.example.invalid:{site.port}/"
        assert ask(url, connect_to="127.0.0.1", seconds=10).text == "here"
    assert site.asked[0].headers["Host"] == f"app.example.invalid:{site.port}"


def test_connection_refused() -> None:
    with pytest.raises(NoAnswer, match=r"^connection refused$"):
        ask(f"http://127.0.0.1:{free_port()}/", seconds=10)


def test_connection_closed_before_an_answer() -> None:
    def close(connection: socket.socket) -> None:
        connection.recv(4096)

    with raw_server(close) as port, pytest.raises(NoAnswer, match=r"^connection reset before"):
        ask(f"http://127.0.0.1:{port}/", seconds=10)


def test_connection_reset() -> None:
    def reset(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with raw_server(reset) as port, pytest.raises(NoAnswer, match=r"^connection reset before"):
        ask(f"http://127.0.0.1:{port}/", seconds=10)


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-A: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n",
    ],
    ids=["no data", "in the headers", "in the body", "in a chunk"],
)
@pytest.mark.slow
def test_an_endless_answer_times_out(beginning: bytes) -> None:
    """A byte now and then prevents a timeout of each single read."""
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(beginning)
        while not over.wait(0.05):
            connection.sendall(b"x")

    with raw_server(drip) as port:
        try:
            with pytest.raises(NoAnswer, match=r"^timed out after 1 s$"):
                ask(f"http://127.0.0.1:{port}/", seconds=1)
        finally:
            over.set()


@pytest.mark.parametrize(
    ("scheme", "beginning"),
    [
        ("http", b"HTTP/1.1 200 OK\r\n\r\n"),
        ("http", b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 999\r\n\r\n"),
        ("http", b"HTTP/1.0 200 OK\r\nContent-Length: 999\r\n\r\n"),
        ("https", b"\x16\x03\x03\x40\x00"),
    ],
    ids=["until the end", "with the last answer", "old HTTP", "in the TLS handshake"],
)
def test_an_answer_that_http_client_has_let_go_times_out(scheme: str, beginning: bytes) -> None:
    """It forgets the socket of a last answer; TLS takes it for the handshake."""
    over, was_ended = threading.Event(), threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(beginning)
        try:
            # At most 3 s: without a limit the request would end then.
            for _ in range(60):
                connection.sendall(b"x")
                if over.wait(0.05):
                    return
        except OSError:
            was_ended.set()

    with raw_server(drip) as port:
        try:
            with pytest.raises(NoAnswer, match=r"^timed out after 1 s$"):
                ask(f"{scheme}://127.0.0.1:{port}/", seconds=0.6)
            assert was_ended.wait(10)
        finally:
            over.set()


def test_a_partial_answer_fails() -> None:
    def half(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    with raw_server(half) as port, pytest.raises(NoAnswer, match="in the middle of the answer"):
        ask(f"http://127.0.0.1:{port}/", seconds=10)


def test_a_silent_server_times_out() -> None:
    over = threading.Event()
    with raw_server(lambda connection: over.wait() and None) as port:
        try:
            with pytest.raises(NoAnswer, match=r"^timed out after 1 s$"):
                ask(f"http://127.0.0.1:{port}/", seconds=1)
        finally:
            over.set()


@pytest.mark.parametrize(
    "said", [b"no http at all\r\n\r\n", b"\x00\xff" * 40, b"HTTP/1.1 abc\r\n\r\n"]
)
def test_an_answer_that_is_not_http_fails(said: bytes) -> None:
    def nonsense(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(said)

    with raw_server(nonsense) as port, pytest.raises(NoAnswer, match="BadStatusLine"):
        ask(f"http://127.0.0.1:{port}/", seconds=10)


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/", "http://127.0.0.1:x/", "http://[::1/"])
def test_an_invalid_url_fails(url: str) -> None:
    with pytest.raises(NoAnswer):
        ask(url, seconds=10)


def test_the_certificate_of_a_local_service_is_not_checked(tmp_path: Path) -> None:
    with serve(*certificate(tmp_path, "elsewhere.example.invalid")) as site:
        site.says("/", "private")
        assert ask(site.url(), seconds=10).text == "private"


def test_a_site_must_have_its_own_certificate(tmp_path: Path) -> None:
    chain, key = certificate(tmp_path / "ours", "app.example.invalid")
    other, _ = certificate(tmp_path / "other", "app.example.invalid")
    with serve(chain, key) as site:
        site.says("/", "secure")
        url = f"https://app.example.invalid:{site.port}/"
        good = ask(url, connect_to="127.0.0.1", trusted=chain.read_text(), seconds=10)
        with pytest.raises(NoAnswer, match=r"^the certificate is not valid: "):
            ask(url, connect_to="127.0.0.1", trusted=other.read_text(), seconds=10)
    assert good.text == "secure"
    assert site.names[0] == "app.example.invalid"


def test_a_certificate_for_another_name_fails(tmp_path: Path) -> None:
    chain, key = certificate(tmp_path, "other.example.invalid")
    with serve(chain, key) as site, pytest.raises(NoAnswer, match="certificate is not valid"):
        ask(
            f"https://app.example.invalid:{site.port}/",
            connect_to="127.0.0.1",
            trusted=chain.read_text(),
            seconds=10,
        )


def test_a_certificate_for_another_name_is_accepted_with_any_name(tmp_path: Path) -> None:
    chain, key = certificate(tmp_path / "ours", "other.example.invalid")
    foreign, _ = certificate(tmp_path / "foreign", "other.example.invalid")
    with serve(chain, key) as site:
        site.says("/", "secure")
        url = f"https://localhost:{site.port}/"
        asked = partial(ask, url, connect_to="127.0.0.1", any_name=True, seconds=10)
        assert asked(trusted=chain.read_text()).text == "secure"
        with pytest.raises(NoAnswer, match="certificate is not valid"):
            asked(trusted=foreign.read_text())


@pytest.mark.parametrize("chain", ["", "no certificate", "\xfc\0", "-----BEGIN CERTIFICATE-----"])
def test_a_missing_or_damaged_certificate_fails(chain: str) -> None:
    with serve() as site, pytest.raises(NoAnswer):
        ask(f"https://127.0.0.1:{site.port}/", trusted=chain, seconds=10)
