"""Secrets that come with a release: found where the app says, checked, and never shown.

Those that the host makes (`generate`) or composes of others (`value`) are the host's own affair.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gpuhost.app.model import Extension
from gpuhost.app.secret import Secret
from gpuhost.release.local_command import NotRun, run_here
from gpuhost.runner.contract import LEAST_MASKED

COMMAND_SECONDS = 30
MOST_SAID = 3


@dataclass(frozen=True)
class Hidden:
    """A value that is shown as ***, whoever prints or formats it."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__


@dataclass(frozen=True)
class Given:
    """The secrets that were found, by name."""

    values: Mapping[str, Hidden] = field(default_factory=dict)

    def document(self) -> bytes:
        """given.json, the same for the same secrets. It leaves this machine on stdin only."""
        revealed = {name: value.reveal() for name, value in self.values.items()}
        return (json.dumps(revealed, sort_keys=True, ensure_ascii=False) + "\n").encode()

    def sha256(self) -> str:
        return hashlib.sha256(self.document()).hexdigest()

    def reveal(self, name: str | None) -> str | None:
        found = self.values.get(name) if name is not None else None
        return found.reveal() if found else None

    def masked(self, text: str) -> str:
        """Text of another program, which may repeat what it was given."""
        pieces = {
            piece
            for value in self.values.values()
            for piece in (value.reveal(), *value.reveal().splitlines())
            if len(piece) >= LEAST_MASKED
        }
        for piece in sorted(pieces, key=len, reverse=True):
            text = text.replace(piece, "***")
        return text


class BadSecrets(ValueError):
    """One line for each secret that is missing or refused; no line holds a value.

    + found: the others
    """

    def __init__(self, lines: Iterable[str], found: Given) -> None:
        self.lines = tuple(lines)
        self.found = found
        super().__init__("; ".join(self.lines))


class _Missing(Exception):
    """Why a secret is not there, in words that hold no value."""


def collect(block: Extension, path: Path) -> Given:
    """Find every secret that a release brings with it.

    + path: of the app file; a secret's file is relative to it

    Raises BadSecrets with all that are missing or refused, so that one run tells all of them.
    """
    found: dict[str, Hidden] = {}
    lines: list[str] = []
    for name, secret in block.secrets.items():
        if secret.generate or secret.value is not None:
            continue
        try:
            found[name] = Hidden(_checked(secret, _looked_up(name, secret, path)))
        except _Missing as why:
            lines.append(f"secret {name} ({place(name, secret, path)}): {why}")
    if lines:
        raise BadSecrets(lines, Given(found))
    return Given(found)


def place(name: str, secret: Secret, path: Path) -> str:
    """Where a secret is looked for, in words."""
    if secret.command:
        return f"command {secret.command[0]}"
    if secret.file is not None:
        return f"file {_file(secret.file, path)}"
    return f"environment variable {secret.env or name}"


def _looked_up(name: str, secret: Secret, path: Path) -> str:
    if secret.command:
        return _without_final_newline(_printed(secret.command, path.parent))
    if secret.file is not None:
        return _without_final_newline(_read(_file(secret.file, path)))
    value = os.environ.get(secret.env or name)
    if value is None:
        raise _Missing("not set; export it where pyinfra runs")
    return value


def _checked(secret: Secret, value: str) -> str:
    problem = next(_problems(secret, value), None)
    if problem:
        raise _Missing(problem)
    return value


def _problems(secret: Secret, value: str) -> Iterator[str]:
    if not value.strip():
        yield "empty"
    if "\0" in value:
        yield "it holds a NUL character, which no environment and no text file can have"
    if not _is_utf_8(value):
        yield "it is not UTF-8 text"
    if _alike(value) in map(_alike, secret.refuse):
        yield "it is still one of the defaults that must not stay; choose another"
    least = max(secret.min_length, LEAST_MASKED)
    if len(value) < least:
        # A shorter one could not be kept out of logs: it would mask every word that it occurs in.
        yield f"shorter than {least} characters"


def _is_utf_8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _alike(value: str) -> str:
    """An example's password is no better in capitals, or with a blank behind it."""
    return value.strip().casefold()


def _file(name: str, path: Path) -> Path:
    file = Path(name)
    # With ~ of a user that there is not it stays as it is, and is not found.
    with suppress(RuntimeError):
        file = file.expanduser()
    return path.parent / file


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except OSError as error:
        raise _Missing(error.strerror or "it cannot be read") from error
    except UnicodeDecodeError:
        # Chained, its message would hold the bytes.
        raise _Missing("it is not UTF-8 text") from None


def _printed(command: tuple[str, ...], directory: Path) -> str:
    """What a command prints; what it says besides is shown, and what it prints never."""
    try:
        ended = run_here(command, seconds=COMMAND_SECONDS, directory=directory)
    except NotRun as why:
        raise _Missing(str(why)) from None
    if ended.status:
        reason = "; ".join(ended.err.splitlines()[-MOST_SAID:]) or "it said nothing"
        raise _Missing(f"it failed (exit {ended.status}): {reason}")
    try:
        return ended.out.decode("utf-8")
    except UnicodeDecodeError:
        raise _Missing("what it prints is not UTF-8 text") from None


def _without_final_newline(text: str) -> str:
    """Editors and commands end a line; that newline is not of the secret. Others are."""
    return text.removesuffix("\n").removesuffix("\r")
