"""Sends an HTTP request from this host, with limits and without a proxy."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urlsplit

MAX_BODY = 4 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """An answer: header names in lower case, at most 4 MB of the body."""

    status: int
    headers: dict[str, str]
    body: bytes
    # The body was longer.
    clipped: bool = False

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


class NoAnswer(Exception):
    """str() is the reason: "connection refused", "timed out after 5 s"."""


def ask(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: str = "",
    seconds: float,
    connect_to: str = "",
    trusted: str | None = None,
    any_name: bool = False,
) -> Answer:
    """Send one request; redirects are not followed.

    + connect_to: an address to connect to instead of the URL's host; Host header and TLS keep the
      name in the URL
    + trusted: a certificate chain to trust, PEM, besides those that the host trusts; without it no
      certificate is checked on the loopback interface
    + any_name: do not check the names in this chain
    + seconds: for everything, except the name lookup

    Raises NoAnswer.
    """
    try:
        parts = urlsplit(url)
        limit = _TimeLimit(seconds)
        connection = _connection(parts, connect_to, trusted, any_name, limit)
    except (OSError, ValueError) as error:
        raise NoAnswer(f"{url}: {error}") from error
    try:
        with limit:
            connection.request(
                method, _target(parts), body.encode() if body else None, dict(headers or {})
            )
            answer = _answer(connection.getresponse())
            if limit.is_timeout.is_set():
                # Incomplete headers would look like complete ones.
                raise TimeoutError
            return answer
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswer(limit.why(error)) from error
    finally:
        connection.close()


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port, to compare. Raises ValueError for a bad port."""
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
    # Characters like umlauts are percent-encoded; what is encoded already is kept.
    return quote(target, safe="/?&=%:+$,;@!*'()~[]#")


def _answer(response: http.client.HTTPResponse) -> Answer:
    body = response.read(MAX_BODY + 1)
    if len(body) <= MAX_BODY and response.length:
        raise http.client.IncompleteRead(body, response.length)
    return Answer(
        response.status,
        {name.lower(): value for name, value in response.getheaders()},
        body[:MAX_BODY],
        clipped=len(body) > MAX_BODY,
    )


def _connection(
    parts: SplitResult, connect_to: str, trusted: str | None, any_name: bool, limit: _TimeLimit
) -> http.client.HTTPConnection:
    name = parts.hostname or ""
    if parts.scheme != "https":
        plain = http.client.HTTPConnection(name, _port(parts), timeout=limit.seconds)
        plain._create_connection = _connect(connect_to or name, limit)  # type: ignore[attr-defined]
        return plain
    context = _context(connect_to or name, trusted, any_name)
    secure = http.client.HTTPSConnection(name, _port(parts), timeout=limit.seconds, context=context)
    secure._create_connection = _connect(connect_to or name, limit)  # type: ignore[attr-defined]
    return secure


def _context(address: str, trusted: str | None, any_name: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if trusted is not None:
        # The site's own certificate is enough, whoever signed it. Comments may not be ASCII.
        context.load_verify_locations(cadata=trusted.encode("ascii", "ignore").decode())
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        context.check_hostname = not any_name
    elif is_loopback(address):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _connect(address: str, limit: _TimeLimit):  # type: ignore[no-untyped-def]
    """For http.client's private hook, which exists since Python 3.5."""

    def create(target: tuple[str, int], *rest: object) -> socket.socket:
        connected = socket.create_connection((address, target[1]), *rest)  # type: ignore[arg-type]
        limit.watch(connected)
        return connected

    return create


class _TimeLimit:
    """Ends the request after its time limit, even if the other side sends slowly."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.socket: socket.socket | None = None
        self.is_timeout = threading.Event()
        self.timer = threading.Timer(seconds, self._end)
        self.timer.daemon = True

    def __enter__(self) -> None:
        self.timer.start()

    def __exit__(self, *_: object) -> None:
        self.timer.cancel()
        self.timer.join()
        if self.socket is not None:
            self.socket.close()

    def watch(self, connected: socket.socket) -> None:
        """Shut it down after the limit. Raises TimeoutError if it is over."""
        # A handle of its own: TLS takes the socket, and http.client gives it to the last answer.
        self.socket = connected.dup()
        if self.is_timeout.is_set():
            connected.close()
            raise TimeoutError

    def _end(self) -> None:
        self.is_timeout.set()
        if self.socket is not None:
            with suppress(OSError):  # it has ended already
                self.socket.shutdown(socket.SHUT_RDWR)

    def why(self, error: Exception) -> str:
        if self.is_timeout.is_set() or isinstance(error, TimeoutError):
            return f"timed out after {self.seconds:.0f} s"
        if isinstance(error, ConnectionRefusedError):
            return "connection refused"
        if isinstance(error, http.client.RemoteDisconnected | ConnectionResetError):
            return "connection reset before an answer came"
        if isinstance(error, http.client.IncompleteRead):
            return "the connection ended in the middle of the answer"
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"the certificate is not valid: {error.verify_message}"
        return f"{type(error).__name__}: {error}"
