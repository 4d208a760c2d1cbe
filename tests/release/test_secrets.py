"""Secrets are read from their declared sources, all missing ones are named, and none is shown."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gpuhost.appfile.model import XGpuhost
from gpuhost.release import secrets
from gpuhost.release.secrets import BadSecrets, GivenSecrets, SecretValue, collect_secrets

VALUE = "s3cret-Wert-ß$'\"`{}"


def _collect(tmp_path: Path, **by_name: dict[str, Any]) -> GivenSecrets:
    return collect_secrets(XGpuhost.model_validate({"secrets": by_name}), tmp_path / "app.yaml")


def _lines(tmp_path: Path, **by_name: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(BadSecrets) as caught:
        _collect(tmp_path, **by_name)
    return caught.value.lines


def _python(code: str) -> dict[str, Any]:
    return {"command": [sys.executable, "-c", code]}


@pytest.mark.parametrize(
    ("secret", "exported"),
    [
        pytest.param({}, {"KEY": VALUE}, id="environment variable of the same name"),
        pytest.param(
            {"env": "OTHER"},
            {"OTHER": VALUE, "KEY": "wrong"},
            id="environment variable of another name",
        ),
        pytest.param({"file": "key.txt"}, {}, id="file beside the app file"),
        pytest.param(
            _python("print(open('key.txt').read(), end='')"),
            {},
            id="command, run beside the app file",
        ),
    ],
)
def test_sources_of_a_secret(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    secret: dict[str, Any],
    exported: dict[str, str],
) -> None:
    (tmp_path / "key.txt").write_text(f"{VALUE}\n", "utf-8")
    for name, value in exported.items():
        monkeypatch.setenv(name, value)
    assert _collect(tmp_path, KEY=secret).reveal("KEY") == VALUE


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("secret", "secret"),
        ("secret\n", "secret"),
        ("secret\r\n", "secret"),
        ("secret\n\n", "secret\n"),
        ("  secret ", "  secret "),
        ("-----BEGIN-----\nline\n-----END-----\n", "-----BEGIN-----\nline\n-----END-----"),
    ],
)
def test_one_final_newline_is_removed(tmp_path: Path, written: str, value: str) -> None:
    (tmp_path / "key").write_bytes(written.encode())
    printed = _python(f"import sys; sys.stdout.write({written!r})")
    assert _collect(tmp_path, KEY={"file": "key"}).reveal("KEY") == value
    assert _collect(tmp_path, KEY=printed).reveal("KEY") == value


def test_a_file_with_an_absolute_path(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(VALUE, "utf-8")
    given = _collect(tmp_path / "apps", KEY={"file": str(tmp_path / "elsewhere")})
    assert given.reveal("KEY") == VALUE


def test_generated_and_composed_secrets_are_not_read(tmp_path: Path) -> None:
    given = _collect(
        tmp_path, MADE={"generate": "hex"}, URL={"value": "redis://:${MADE}@redis:6379/0"}
    )
    assert given.values == {}
    assert given.document() == b"{}\n"


# Declaration, environment variable, and the text of the message.
BAD: dict[str, tuple[dict[str, Any], str | None, str]] = {
    "not exported": ({}, None, "secret KEY (environment variable KEY): not set; export it"),
    "not exported under its other name": ({"env": "O"}, None, "(environment variable O): not set"),
    "empty": ({}, "", "(environment variable KEY): empty"),
    "blank": ({}, " \n", "(environment variable KEY): empty"),
    "short": ({"min_length": 12}, "elevenchars", "shorter than 12 characters"),
    "too short to be masked in logs": ({}, "abc", "shorter than 4 characters"),
    "a default": ({"refuse": ["changeme"]}, "changeme", "a default value that `refuse` forb"),
    "a default in capitals": ({"refuse": ["changeme"]}, "ChangeMe ", "default value that `refuse`"),
    "not UTF-8": ({}, "\udcff1234", "not UTF-8 text"),
    "a missing file": ({"file": "none"}, None, "/none): No such file or directory"),
    "a file of an unknown user": (
        {"file": "~nosuchuser/x"},
        None,
        "/~nosuchuser/x): No such file or",
    ),
    "a directory": ({"file": "."}, None, "): Is a directory"),
    "a binary file": ({"file": "binary"}, None, "/binary): not UTF-8 text"),
    "a file with NUL": ({"file": "nul"}, None, "/nul): it contains a NUL character"),
    "a missing command": ({"command": ["no-such-thing"]}, None, "command no-such-thing not found"),
    "a command with NUL": (
        {"command": ["echo", "Wert1\0"]},
        None,
        "(command echo): echo cannot be run: it contains a NUL character",
    ),
    "a command that fails": (
        _python("import sys; print('Wert1'); sys.exit('not in the store')"),
        None,
        "failed (exit 1): not in the store",
    ),
    "a command that fails without a message": (
        _python("raise SystemExit(3)"),
        None,
        "(exit 3): no message",
    ),
    "a command without output": (_python(""), None, "): empty"),
    "a command that prints bytes": (
        _python(r"import sys; sys.stdout.buffer.write(b'\xffWert1')"),
        None,
        "its output is not UTF-8 text",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_missing_and_invalid_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    secret, exported, says = BAD[name]
    (tmp_path / "binary").write_bytes(b"\xff\xfeWert1")
    (tmp_path / "nul").write_bytes(b"Wert1\0Wert1")
    monkeypatch.delenv("KEY", raising=False)
    if exported is not None:
        monkeypatch.setenv("KEY", exported)
    (line,) = _lines(tmp_path, KEY=secret)
    assert line.startswith("secret KEY (")
    assert says in line
    assert "Wert1" not in line
    assert not exported or exported.strip() in ("", "abc") or exported not in line


def test_a_command_has_a_time_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its children are killed too: they would keep its output open."""
    monkeypatch.setattr(secrets, "COMMAND_SECONDS", 0.5)
    (line,) = _lines(tmp_path, KEY={"command": ["sh", "-c", "sleep 100 & sleep 100"]})
    assert "no result within" in line


def test_a_child_in_another_session_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not killed with the command, and keeps its output open."""
    monkeypatch.setattr(secrets, "COMMAND_SECONDS", 0.5)
    began = time.monotonic()
    (line,) = _lines(tmp_path, KEY={"command": ["sh", "-c", "setsid sleep 8 & exit 0"]})
    assert "no result within" in line
    assert time.monotonic() - began < 6


def test_all_missing_secrets_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THERE", VALUE)
    monkeypatch.setenv("WEAK", "12345")
    made = {"generate": "hex"}
    weak = {"min_length": 12}
    lines = _lines(tmp_path, THERE={}, GONE={}, FILE={"file": "none"}, WEAK=weak, MADE=made)
    assert [line.split()[1] for line in lines] == ["GONE", "FILE", "WEAK"]


def test_no_text_shows_a_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", VALUE)
    given = _collect(tmp_path, KEY={})
    shown = f"{given} {given!r} {given.values} {given.values['KEY']} {vars(given)}"
    assert VALUE not in shown
    assert "***" in shown
    assert f"{SecretValue(VALUE)!r:>5}" == "  ***"


def test_the_document_is_the_same_for_the_same_secrets() -> None:
    one = GivenSecrets({"B": SecretValue("2"), "A": SecretValue(VALUE)})
    other = GivenSecrets({"A": SecretValue(VALUE), "B": SecretValue("2")})
    assert one.document() == other.document()
    assert json.loads(one.document()) == {"A": VALUE, "B": "2"}
    assert one.sha256() == hashlib.sha256(other.document()).hexdigest()
    assert one.sha256() != GivenSecrets({"A": SecretValue(VALUE)}).sha256()


def test_secrets_in_the_output_of_programs_are_masked() -> None:
    given = GivenSecrets(
        {"KEY": SecretValue("first line\nsecond line"), "LONGER": SecretValue("first line, longer")}
    )
    output = "fatal: second line refused (first line, longer)"
    assert given.masked(output) == "fatal: *** refused (***)"
