"""The draft of a release, from a reading of the host: a change, no change, or refused."""

from __future__ import annotations

import json
import tarfile
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from gpuhost.appfile.loading import load
from gpuhost.release.resolved_app import ResolvedApp
from gpuhost.release.secrets import GivenSecrets, SecretValue
from gpuhost.release.source import ResolvedSource
from gpuhost.rollout.bundle import Bundle
from gpuhost.rollout.draft import Draft, StartRefused, draft_release, release_id
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from tests.recorded import snapshot_of

APP = "x-gpuhost: {secrets: {KEY: {}}}\nservices: {web: {image: 'web:1'}}\n"
DECLARED = Settings(adopt=True)


def _resolved_app(
    tmp_path: Path, *, text: str = APP, key: str = "s3cret", revision: str = "a" * 40
) -> ResolvedApp:
    (tmp_path / "tts.yaml").write_text(text)
    app = load(tmp_path / "tts.yaml")
    return ResolvedApp(
        app, GivenSecrets({"KEY": SecretValue(key)}), ResolvedSource(revision, b"archive")
    )


def _snapshot(*apps: dict[str, Any], is_running: bool = False) -> Snapshot:
    state = "active" if is_running else "inactive"
    return snapshot_of(
        {
            "host": "debian13-docker",
            "probes": {
                "apps": {"out": json.dumps({"apps": apps, "runners": []})},
                "app_units": {"out": f"Id=gpuhost-release-tts.service\nActiveState={state}\n"},
            },
        }
    )


def _released(draft: Draft, state: str = "verified", **more: Any) -> dict[str, Any]:
    """The host's record of this release."""
    release = {
        "id": "20260101-000000-aaaaaaaa", "inputs": draft.plan.inputs, "by": "me@here",
        "revision": draft.plan.revision, "project": "tts", "rollback_of": "",
        "result": {"state": state},
    }  # fmt: skip
    return {
        "name": "tts", "current": release["id"], "attempt": None, "backups": [],
        "given": {"sha256": draft.resolved.secrets.sha256(), "mode": "0600", "owner": "root"},
        "releases": [release], **more,
    }  # fmt: skip


def test_an_unchanged_app_is_no_change(tmp_path: Path) -> None:
    resolved = _resolved_app(tmp_path)
    first = draft_release(resolved, _snapshot(), DECLARED)
    assert not first.is_unchanged
    assert first.sentence == (
        "tts: first release, revision aaaaaaaaaaaa; "
        "without a card (no service needs one); services: web"
    )
    again = draft_release(resolved, _snapshot(_released(first)), DECLARED)
    assert again.is_unchanged
    assert again.plan.inputs == first.plan.inputs


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"key": "another"}, id="a secret"),
        pytest.param({"revision": "b" * 40}, id="the revision"),
        pytest.param({"text": APP + "# a comment\n"}, id="the file"),
    ],
)
def test_another_input_is_a_change(tmp_path: Path, changed: dict[str, str]) -> None:
    first = draft_release(_resolved_app(tmp_path), _snapshot(), DECLARED)
    assert not draft_release(
        _resolved_app(tmp_path, **changed), _snapshot(_released(first)), DECLARED
    ).is_unchanged


@pytest.mark.parametrize(
    "host",
    [
        {"state": "restored"},
        {"given": None},
        {"current": None},
        {"attempt": {"kind": "release", "id": "x", "by": "me@here", "started": 1}},
        {"restoring": {"backup": "20260101-000000-schedule", "step": "undoing"}},
    ],
)
def test_without_a_good_release_it_is_a_change(tmp_path: Path, host: dict[str, Any]) -> None:
    resolved = _resolved_app(tmp_path)
    first = draft_release(resolved, _snapshot(), DECLARED)
    assert not draft_release(resolved, _snapshot(_released(first, **host)), DECLARED).is_unchanged


def test_an_invalid_port_mapping_is_refused(tmp_path: Path) -> None:
    text = """
x-gpuhost:
  nginx: {where: container, service: web, config: n/d.conf, upstream: "web:3000"}
  verify: {steps: [{health: {url: "http://127.0.0.1:3000"}}]}
services: {web: {image: "web:1", ports: ["3000:"], volumes: ["./n:/n"]}}
"""
    with pytest.raises(StartRefused) as caught:
        draft_release(_resolved_app(tmp_path, text=text), _snapshot(), DECLARED)
    expected = "services.web.ports: '3000:' is not a port mapping; write it like 3000:3000"
    assert caught.value.lines[0] == f"{tmp_path}/tts.yaml: {expected}"


@pytest.mark.parametrize(
    ("newer", "is_unchanged"),
    [
        ([("restore-failed", "2")], False),
        ([("failed", "2")], True),
        ([("restored", "2")], True),
        # A failed release changed nothing, so the app is still down.
        ([("failed", "3"), ("restore-failed", "2")], False),
        # A later restore brought the app up.
        ([("restored", "3"), ("restore-failed", "2")], True),
        ([(None, "3"), ("restore-failed", "2")], False),
    ],
)
def test_a_release_that_could_not_be_restored_is_released_again(
    tmp_path: Path, newer: list[tuple[str | None, str]], is_unchanged: bool
) -> None:
    resolved = _resolved_app(tmp_path)
    host = _released(draft_release(resolved, _snapshot(), DECLARED))
    host["releases"] = [
        *({"id": id, "result": state and {"state": state}} for state, id in newer),
        *host["releases"],
    ]
    assert draft_release(resolved, _snapshot(host), DECLARED).is_unchanged == is_unchanged


def test_every_reason_is_named(tmp_path: Path) -> None:
    text = APP.replace("'web:1'", "'web:1', ports: ['22:22']")
    resolved = ResolvedApp(
        _resolved_app(tmp_path, text=text).app, GivenSecrets(), None,
        ("secret KEY (environment variable KEY): not set",),
        ("secret KEY (environment variable KEY): not set", "git ls-remote: no; check"),
    )  # fmt: skip
    attempt = {"kind": "release", "id": "x", "by": "ann@desk", "started": 1}
    host = _released(draft_release(_resolved_app(tmp_path), _snapshot(), DECLARED), attempt=attempt)
    with pytest.raises(StartRefused) as caught:
        draft_release(resolved, _snapshot(host, is_running=True), DECLARED)
    reasons = "\n".join(caught.value.lines)
    for part in (
        "git ls-remote: no; check",
        "app.secrets: ",
        "KEY): not set",
        "app.ports: ",
        "ann@",
    ):
        assert part in reasons
    assert reasons.count("not set") == 1


def test_missing_secrets_are_a_line_each(tmp_path: Path) -> None:
    missing = tuple(f"secret {name} (environment variable {name}): not set" for name in "ABC")
    resolved = ResolvedApp(_resolved_app(tmp_path).app, GivenSecrets(), None, missing, missing)
    with pytest.raises(StartRefused) as caught:
        draft_release(resolved, _snapshot(), DECLARED)
    lines = [line for line in caught.value.lines if line.startswith("app.secrets: ")]
    assert lines[:2] == [f"app.secrets: {line}" for line in missing[:2]]
    assert lines[2].startswith(f"app.secrets: {missing[2]} (expected: every secret set); set them")


def test_an_unreadable_host_is_refused(tmp_path: Path) -> None:
    broken = snapshot_of({"host": "debian13-docker", "probes": {"apps": {"out": "no JSON"}}})
    with pytest.raises(StartRefused, match="not valid JSON"):
        draft_release(_resolved_app(tmp_path), broken, DECLARED)


def test_the_bundle_that_is_sent(tmp_path: Path) -> None:
    draft = draft_release(_resolved_app(tmp_path), _snapshot(), DECLARED)
    start = draft.start_request(_snapshot())
    assert (start.app, start.verb, start.unit) == (
        "tts",
        ("release",),
        "gpuhost-release-tts.service",
    )
    assert start.limit_s > 2 * draft.plan.limit_s
    assert start.bundle is not None
    assert start.bundle == draft.start_request(_snapshot()).bundle
    members = _members(start.bundle)
    assert {name: mode for name, (mode, _) in members.items() if mode != 0o600} == {
        "release": 0o700
    }
    assert set(members) == {
        "release", "release/plan.json", "release/compose.yaml",
        "release/given.json", "release/source.tar.gz", "runner.pyz", "resume.service",
    }  # fmt: skip
    assert members["release/compose.yaml"][1] == APP.encode()
    assert json.loads(members["release/plan.json"][1])["id"] == start.id
    assert members["release/given.json"][1] == b'{"KEY": "s3cret"}\n'
    assert "s3cret" not in f"{start!r} {draft!r}"


def _members(bundle: Bundle) -> dict[str, tuple[int, bytes]]:
    content = b"".join(b64decode(line, validate=True) for line in bundle.lines())
    with tarfile.open(fileobj=BytesIO(content)) as archive:
        return {
            member.name: (
                member.mode,
                file.read() if (file := archive.extractfile(member)) else b"",
            )
            for member in archive.getmembers()
        }


@pytest.mark.parametrize(
    ("newest", "id"),
    [
        (None, "20261121-223646-12345678"),
        ("20261121-223645-aaaaaaaa", "20261121-223646-12345678"),
        ("20261121-223646-aaaaaaaa", "20261121-223647-12345678"),
        ("20271231-235959-aaaaaaaa", "20280101-000000-12345678"),
        ("by-hand", "20261121-223646-12345678"),
    ],
)
def test_release_ids_increase(newest: str | None, id: str) -> None:
    apps = [{"name": "tts", "releases": [{"id": newest}]}] if newest else []
    assert release_id(_snapshot(*apps), "tts", "123456789") == id
