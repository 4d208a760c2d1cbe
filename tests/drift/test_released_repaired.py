"""A second release of the same app repairs changes on the host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpuhost.checks.deployed import repaired_by_a_release
from gpuhost.release.resolved_app import ResolvedApp
from gpuhost.release.secrets import GivenSecrets, SecretValue
from gpuhost.release.source import ResolvedSource
from gpuhost.rollout.draft import Draft, Refused, draft_release
from tests.drift.released import Case, case

GIVEN = GivenSecrets({"TOKEN": SecretValue("a-long-secret")})
REVISION = "1f" * 20


def draft(edits: dict[str, Any], directory: Path) -> Draft:
    made = case(edits, directory)
    assert made.file.app
    resolved = ResolvedApp(made.file.app, GIVEN, ResolvedSource(REVISION))
    return draft_release(resolved, made.snapshot, made.settings)


# `docker ps` of the same containers: docker-proxy holds the port for one of them.
COLUMNS = ("1f", "tts-web-1", "running", "web", "127.0.0.1:3000->3000/tcp", "tts", "web")
LISTED = {"out": "\t".join((*COLUMNS, "/opt/gpuhost/tts/shared")) + "\n"}


def given(edits: dict[str, Any]) -> dict[str, Any]:
    """The same edits, with the hash of the release's secrets."""
    edit = edits.get("edit", {})
    probes = {"docker_containers": LISTED, **edit.get("probes", {})}
    return {"edit": {**edit, "apps 0 given sha256": GIVEN.sha256(), "probes": probes}}


def repaired(made: Case) -> list[str]:
    return [one.id for one in repaired_by_a_release(made.snapshot, made.settings, "tts")]


def test_as_verified_a_release_changes_nothing(tmp_path: Path) -> None:
    assert draft(given({}), tmp_path).is_unchanged


CHANGED = {
    "app.tts.files": {"apps 0 details files 0 state": "changed"},
    "app.tts.site": {"apps 0 details files 2 state": "missing"},
    "app.tts.images": {"containers 0 image": "sha256:dddddddddddddddd"},
    "app.tts.containers": {"containers 1": None},
    "app.tts.directories": {"apps 0 details directories 0 now": "0:0 0755"},
    "app.tts.live": {"live 0 differences": [["web", "memory", "2", "1"]]},
    "app.tts.ports": {"containers 0 bound": {}},
    "app.tts.backups": {"units gpuhost-backup-tts.timer": None},
    "app.tts.certificate": {"apps 0 details certificate there": False},
    "app.tts.cards": {
        "containers 0 id": "one",
        "containers 0 requests": [{"Driver": "nvidia", "Count": -1, "Capabilities": [["gpu"]]}],
        "probes": {
            "nvidia_smi": {"rc": 0, "out": "GPU 0: Tesla P40 (UUID: GPU-b7b23dc6)\n"},
            "cards_inside": {"rc": 0, "out": '{"one": ["lost", "No devices were found"]}'},
        },
    },
}


@pytest.mark.parametrize("id", CHANGED)
def test_what_a_release_repairs_is_a_change(id: str, tmp_path: Path) -> None:
    found = draft(given({"edit": CHANGED[id]}), tmp_path)
    assert not found.is_unchanged
    assert f"; {id}: " in found.sentence
    assert repaired(case({"edit": CHANGED[id]}, tmp_path)) == [id]


@pytest.mark.parametrize(
    "edit",
    [
        {"containers 0 health": "unhealthy"},
        {"containers 1 oom_killed": True},
        # nginx needs a reload; a release does not help.
        {"apps 0 details listens": [80, 443, 8443]},
        # A release cannot create this certificate.
        {"apps 0 details certificate there": False, "apps 0 details site certificate": "files"},
        {"probes": {"docker_inspect": {"rc": None}}},
    ],
)
def test_what_it_does_not_repair_is_no_change(edit: dict[str, Any], tmp_path: Path) -> None:
    assert draft(given({"edit": edit}), tmp_path).is_unchanged


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        # Also just after the engine's start, when the check of the containers waits.
        ({"engine_started": 1795399990, "containers 1 state": "exited"}, "tts-worker-1 is exited"),
        ({"containers 0 state": "restarting"}, "tts-web-1 is restarting"),
        ({"apps 0 details kept": False,
          **{f"containers {n} state": "exited" for n in range(3)}}, "none of its containers runs"),
    ],
)  # fmt: skip
def test_what_does_not_run_is_released_again(
    edit: dict[str, Any], says: str, tmp_path: Path
) -> None:
    found = draft(given({"edit": edit}), tmp_path)
    assert (found.is_unchanged, says in found.sentence) == (False, True)


def test_with_the_engine_stopped_the_same_release_is_refused(tmp_path: Path) -> None:
    of_the_engine = ("docker_info", "docker_containers", "docker_inspect", "docker_images")
    edit = {"probes": dict.fromkeys(of_the_engine)}
    with pytest.raises(Refused, match=r"app\.engine: docker\.service is not running"):
        draft(given({"edit": edit}), tmp_path)
