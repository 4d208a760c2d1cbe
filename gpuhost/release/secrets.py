"""Secrets that are sent with a release: read as the app file declares, checked, never shown.

The host itself generates secrets with `generate`, and composes those with `value`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gpuhost.appfile.local_path import local_path
from gpuhost.appfile.model import XGpuhost
from gpuhost.appfile.secret import Secret
from gpuhost.release.local_command import LocalCommandError, run_local
from gpuhost.runner.contract import LEAST_MASKED, Masking

COMMAND_SECONDS = 30
MAX_LINES = 3


@dataclass(frozen=True)
class SecretValue:
    """Printed and formatted as ***."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__


@dataclass(frozen=True)
class GivenSecrets:
    """The secrets that are sent with a release, by name."""

    values: Mapping[str, SecretValue] = field(default_factory=dict)

    def document(self) -> bytes:
        """given.json, the same for the same secrets. It leaves this machine on stdin only."""
        revealed = {name: value.reveal() for name, value in self.values.items()}
        return (json.dumps(revealed, sort_keys=True, ensure_ascii=False) + "\n").encode()

    def sha256(self) -> str:
        return hashlib.sha256(self.document()).hexdigest()

    def reveal(self, name: str | None) -> str | None:
        value = self.values.get(name) if name is not None else None
        return value.reveal() if value else None

    def masked(self, text: str) -> str:
        """Output of another program, with secrets masked."""
        return Masking(value.reveal() for value in self.values.values())(text)


class BadSecrets(ValueError):
    """One line for each secret that is missing or refused; no line holds a value.

    + others: the secrets that are usable
    """

    def __init__(self, lines: Iterable[str], others: GivenSecrets) -> None:
        self.lines = tuple(lines)
        self.others = others
        super().__init__("; ".join(self.lines))


class _Unusable(Exception):
    """Why a secret cannot be used; the message holds no value."""


def collect_secrets(block: XGpuhost, path: Path) -> GivenSecrets:
    """Read every secret that is sent with a release.

    + path: of the app file; a secret's file is relative to it

    Raises BadSecrets with every secret that is missing or refused.
    """
    values: dict[str, SecretValue] = {}
    lines: list[str] = []
    for name, secret in block.secrets.items():
        if secret.generate or secret.value is not None:
            continue
        try:
            values[name] = SecretValue(_check(secret, _read_secret(name, secret, path)))
        except _Unusable as reason:
            lines.append(f"secret {name} ({place(name, secret, path)}): {reason}")
    if lines:
        raise BadSecrets(lines, GivenSecrets(values))
    return GivenSecrets(values)


def place(name: str, secret: Secret, path: Path) -> str:
    """Where a secret is read from, for messages."""
    if secret.command:
        return f"command {secret.command[0]}"
    if secret.file is not None:
        return f"file {local_path(secret.file, path)}"
    return f"environment variable {secret.env or name}"


def _read_secret(name: str, secret: Secret, path: Path) -> str:
    if secret.command:
        return _without_final_newline(_command_output(secret.command, path.parent))
    if secret.file is not None:
        return _without_final_newline(_read(local_path(secret.file, path)))
    value = os.environ.get(secret.env or name)
    if value is None:
        raise _Unusable("not set; export it in the shell that runs pyinfra")
    return value


def _check(secret: Secret, value: str) -> str:
    problem = next(_problems(secret, value), None)
    if problem:
        raise _Unusable(problem)
    return value


def _problems(secret: Secret, value: str) -> Iterator[str]:
    if not value.strip():
        yield "empty"
    if "\0" in value:
        yield "it contains a NUL character"
    if not _is_utf_8(value):
        yield "not UTF-8 text"
    if _normalized(value) in map(_normalized, secret.refuse):
        yield "still a default value that `refuse` forbids; choose another"
    least = max(secret.min_length, LEAST_MASKED)
    if len(value) < least:
        # Shorter values cannot be masked in logs: they occur in ordinary words.
        yield f"shorter than {least} characters"


def _is_utf_8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _normalized(value: str) -> str:
    """An example's password in capitals, or with spaces around it, is the same password."""
    return value.strip().casefold()


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except OSError as error:
        raise _Unusable(error.strerror or "cannot be read") from error
    except UnicodeDecodeError:
        # Not chained: its message would contain the bytes.
        raise _Unusable("not UTF-8 text") from None


def _command_output(command: tuple[str, ...], directory: Path) -> str:
    """What a command prints to stdout, which is never shown; its stderr is, if it fails."""
    try:
        result = run_local(command, seconds=COMMAND_SECONDS, directory=directory)
    except LocalCommandError as error:
        raise _Unusable(str(error)) from None
    if result.status:
        reason = "; ".join(result.err.splitlines()[-MAX_LINES:]) or "no message"
        raise _Unusable(f"failed (exit {result.status}): {reason}")
    try:
        return result.out.decode("utf-8")
    except UnicodeDecodeError:
        raise _Unusable("its output is not UTF-8 text") from None


def _without_final_newline(text: str) -> str:
    """One final newline is from the editor or command; others belong to the secret."""
    return text.removesuffix("\n").removesuffix("\r")
