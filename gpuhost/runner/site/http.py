"""One bounded HTTP request from this host, past every proxy."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, quote, urlsplit

LARGEST = 4 * 1024 * 1024
SHOWN = 300


@dataclass(frozen=True)
class Answer:
    """What came back: names of headers in lower case, at most 4 MB of the body."""

    status: int
    headers: dict[str, str]
    body: bytes
    # The body was longer than what is kept.
    clipped: bool = False

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def beginning(self) -> str:
        """The first characters of the body, on one line."""
        return " ".join(self.text[:SHOWN].split())


class NoAnswer(Exception):
    """Nothing came back; str() says why: "connection refused", "timed out after 5 s"."""


def ask(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: str = "",
    seconds: float,
    connect_to: str = "",
    trusted: Path | None = None,
    any_name: bool = False,
) -> Answer:
    """Ask once; redirects are answers, and not followed.

    + connect_to: the address to connect to instead of the URL's own host, whose name stays in the
      Host header and in TLS: a site is asked under its name on the loopback interface
    + trusted: a certificate chain that is good for this request, besides what the host trusts;
      without it a service on the loopback interface is not asked who it is
    + any_name: that chain is good for this request whatever names are in it
    + seconds: for all of it, name lookup apart

    Raises NoAnswer.
    """
    try:
        parts = urlsplit(url)
        connection = _connection(parts, connect_to, trusted, any_name, seconds)
    except (OSError, ValueError) as error:
        raise NoAnswer(f"{url}: {error}") from error
    watch = _Watch(connection, seconds)
    try:
        with watch:
            connection.request(
                method, _target(parts), body.encode() if body else None, dict(headers or {})
            )
            answer = _answer(connection.getresponse())
            if watch.is_over.is_set():
                # Headers that break off look like headers that end.
                raise TimeoutError
            return answer
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswer(watch.why(error)) from error
    finally:
        connection.close()


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port, the way they are compared. Raises ValueError for a bad port."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), _port(parts)


def is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _target(parts: SplitResult) -> str:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    # What is written as it is read, umlauts say, is sent as HTTP has it; the rest stays.
    return quote(target, safe="/?&=%:+$,;@!*'()~[]#")


def _answer(response: http.client.HTTPResponse) -> Answer:
    body = response.read(LARGEST + 1)
    if len(body) <= LARGEST and response.length:
        raise http.client.IncompleteRead(body, response.length)
    return Answer(
        response.status,
        {name.lower(): value for name, value in response.getheaders()},
        body[:LARGEST],
        clipped=len(body) > LARGEST,
    )


def _connection(
    parts: SplitResult, connect_to: str, trusted: Path | None, any_name: bool, seconds: float
) -> http.client.HTTPConnection:
    name = parts.hostname or ""
    if parts.scheme != "https":
        plain = http.client.HTTPConnection(name, _port(parts), timeout=seconds)
        plain._create_connection = _connect(connect_to or name)  # type: ignore[attr-defined]
        return plain
    context = _context(connect_to or name, trusted, any_name)
    secure = http.client.HTTPSConnection(name, _port(parts), timeout=seconds, context=context)
    secure._create_connection = _connect(connect_to or name)  # type: ignore[attr-defined]
    return secure


def _context(address: str, trusted: Path | None, any_name: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if trusted is not None:
        # The site's own certificate is enough: who signed it is not this host's question.
        context.load_verify_locations(cafile=trusted)
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        context.check_hostname = not any_name
    elif is_loopback(address):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _connect(address: str):  # type: ignore[no-untyped-def]
    """http.client's hook for how a connection is made; it has been there since Python 3.5."""

    def create(target: tuple[str, int], *rest: object) -> socket.socket:
        return socket.create_connection((address, target[1]), *rest)  # type: ignore[arg-type]

    return create


class _Watch:
    """Ends the request when its time is up, however slowly the other side answers."""

    def __init__(self, connection: http.client.HTTPConnection, seconds: float) -> None:
        self.connection = connection
        self.seconds = seconds
        self.is_over = threading.Event()
        self.timer = threading.Timer(seconds, self._end)
        self.timer.daemon = True

    def __enter__(self) -> None:
        self.timer.start()

    def __exit__(self, *_: object) -> None:
        self.timer.cancel()

    def _end(self) -> None:
        self.is_over.set()
        if self.connection.sock is not None:
            try:
                self.connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                # The other side was quicker.
                return

    def why(self, error: Exception) -> str:
        if self.is_over.is_set() or isinstance(error, TimeoutError):
            return f"timed out after {self.seconds:.0f} s"
        if isinstance(error, ConnectionRefusedError):
            return "connection refused"
        if isinstance(error, http.client.RemoteDisconnected | ConnectionResetError):
            return "connection reset before an answer came"
        if isinstance(error, http.client.IncompleteRead):
            return "the connection ended in the middle of the answer"
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"the certificate is not good: {error.verify_message}"
        return f"{type(error).__name__}: {error}"
