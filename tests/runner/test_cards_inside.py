"""Whether a running container still has its cards: what nvidia-smi says in it, and what follows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.contract import (
    CARDS_HELD,
    CARDS_LOST,
    CARDS_UNKNOWN,
    ask_for_cards,
    card_use,
    cards_inside,
)
from gpuhost.runner.contract.cards_inside import BY_RUNTIME, CARDS_GONE, NO_CARDS, RESERVED, judge
from gpuhost.runner.lib.commands import environment
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.stages import activation
from tests.runner.host_fixtures import App, Programs, app, programs

__all__ = ["app", "programs"]

LISTED = "GPU 0: Tesla P40 (UUID: GPU-b7b23dc6-5fc9-42f4-925c-f99621e9ad17)\n"
UNKNOWN_ERROR = "Failed to initialize NVML: Unknown Error\n"
NOT_THERE = (
    "OCI runtime exec failed: exec failed: unable to start container process: exec: "
    '"nvidia-smi": executable file not found in $PATH: unknown\n'
)
ALL = [{"Driver": "nvidia", "Count": -1, "Capabilities": [["gpu"]]}]


@pytest.mark.parametrize(
    ("status", "output", "state"),
    [
        (0, LISTED, CARDS_HELD),
        (14, f"WARNING: infoROM is corrupted at gpu 0000:84:00.0\n{LISTED}", CARDS_HELD),
        (255, UNKNOWN_ERROR, CARDS_LOST),
        (0, UNKNOWN_ERROR, CARDS_LOST),
        (18, "Failed to initialize NVML: Driver/library version mismatch\n", CARDS_LOST),
        (6, "No devices were found\n", CARDS_LOST),
        (9, "it has failed because it couldn't communicate with the NVIDIA driver", CARDS_LOST),
        (126, NOT_THERE, NO_CARDS),
        (127, "sh: nvidia-smi: No such file or directory\n", NO_CARDS),
        (1, "Error response from daemon: Container 1f2e is not running\n", CARDS_GONE),
        (1, "Error response from daemon: No such container: 1f2e\n", CARDS_GONE),
        (4, "Failed to initialize NVML: Insufficient Permissions\n", CARDS_UNKNOWN),
        (139, "", CARDS_UNKNOWN),
        (0, "", CARDS_UNKNOWN),
        (None, "", CARDS_UNKNOWN),
    ],
)  # fmt: skip
def test_what_nvidia_smi_says(status: int | None, output: str, state: str) -> None:
    assert judge(status, output)[0] == state


@pytest.mark.parametrize(
    ("host", "uses"),
    [
        ({"requests": ALL}, True),
        ({"requests": [{"Driver": "", "Count": 1, "Capabilities": [["gpu", "utility"]]}]}, True),
        ({"requests": [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=0"]}]}, True),
        ({"requests": [{"Driver": "cdi", "DeviceIDs": ["amd.com/gpu=0"]}]}, False),
        ({"requests": [{"Driver": "amd", "Capabilities": [["gpu"]]}]}, False),
        ({"runtime": "nvidia"}, True),
        ({"runtime": "runc"}, False),
        ({"devices": [{"PathOnHost": "/dev/nvidia0"}]}, True),
        ({"devices": [{"PathOnHost": "/dev/dri/card0"}]}, False),
        ({"requests": "x", "devices": [1, None]}, False),
        ({}, False),
    ],
)
def test_who_was_given_a_card(host: dict[str, Any], uses: bool) -> None:
    found = card_use(**{"requests": None, "runtime": None, "devices": None, **host})
    assert bool(found) is uses


def test_the_runtime_alone_gives_only_what_the_environment_names() -> None:
    assert card_use(requests=None, runtime="nvidia", devices=None) == BY_RUNTIME
    assert card_use(requests=ALL, runtime="nvidia", devices=None) == RESERVED
    assert judge(6, "No devices were found\n", BY_RUNTIME)[0] == NO_CARDS
    assert judge(255, UNKNOWN_ERROR, BY_RUNTIME)[0] == CARDS_LOST


def line(**values: Any) -> str:
    return json.dumps(
        {"id": "one", "pid": 1, "state": "running", "requests": ALL, "runtime": "runc",
         "devices": None, "directory": "/opt/gpuhost/tts/shared", **values}
    )  # fmt: skip


def test_a_reading_asks_the_running_containers_of_apps_at_once(
    tmp_path: Path, programs: Programs
) -> None:
    rows = (
        line(),
        line(id="two"),
        line(id="theirs", directory="/srv/theirs"),
        line(id="stopped", state="exited"),
        line(id="no-card", requests=None),
    )
    (tmp_path / "docker_inspect.out").write_text("\n".join(rows))
    (tmp_path / "nvidia_smi.rc").write_text("0\n")
    programs.answer("docker exec two *", LISTED)
    programs.answer("docker exec one *", UNKNOWN_ERROR, status=255)
    argv = [sys.executable, "-I", "-S", cards_inside.__file__, str(tmp_path)]
    environment = {"PATH": f"{programs.directory}:/usr/bin:/bin"}

    def run() -> dict[str, Any]:
        done = subprocess.run(argv, capture_output=True, text=True, check=True, env=environment)
        answers: dict[str, Any] = json.loads(done.stdout)
        return answers

    assert run() == {
        "one": [CARDS_LOST, "Failed to initialize NVML: Unknown Error"],
        "two": [CARDS_HELD, ""],
    }
    # A driver that does not answer on the host is not asked in containers.
    (tmp_path / "nvidia_smi.rc").write_text("")
    before = len(programs.calls)
    assert run() == {}
    assert len(programs.calls) == before


def test_a_container_without_nvidia_smi_and_without_a_node_has_no_card(programs: Programs) -> None:
    programs.answer("docker exec *", NOT_THERE, status=126)
    assert ask_for_cards("one", 0, RESERVED, environment()) == (NO_CARDS, "")


def test_a_program_of_the_container_that_prints_without_end_is_stopped(programs: Programs) -> None:
    programs.answer("docker exec *", then="exec yes")
    state, evidence = ask_for_cards("one", 0, RESERVED, environment())
    assert state == CARDS_UNKNOWN
    assert "printed too much" in evidence


@pytest.mark.parametrize(
    ("opened", "state"),
    [(0, CARDS_HELD), (1, CARDS_LOST), (6, CARDS_UNKNOWN), (255, CARDS_UNKNOWN)],
)
def test_without_nvidia_smi_its_device_node_is_opened(
    monkeypatch: pytest.MonkeyPatch, programs: Programs, opened: int, state: str
) -> None:
    """/dev/null of this process stands for the node."""
    programs.answer("docker exec *", NOT_THERE, status=126)
    monkeypatch.setattr(cards_inside, "CONTROL", "dev/null")
    monkeypatch.setattr(cards_inside, "_open_in", lambda group, node: opened)
    monkeypatch.setattr(cards_inside, "_cgroup", lambda pid: Path("/nowhere"))
    answer = ask_for_cards("one", "self", RESERVED, environment())  # type: ignore[arg-type]
    assert answer[0] == state
    assert state != CARDS_LOST or answer[1] == "/dev/null: Operation not permitted"


def inspected(id: str) -> str:
    return json.dumps(
        [
            {
                "Id": id,
                "RestartCount": 0,
                "Name": "/app-api-1",
                "State": {"Status": "running", "ExitCode": 0, "Pid": 4242},
                "HostConfig": {"RestartPolicy": {"Name": "always"}, "DeviceRequests": ALL},
                "Config": {"Image": "api:1", "Labels": {"com.docker.compose.service": "api"}},
            }
        ]
    )


def test_a_service_that_lost_its_card_is_recreated_although_nothing_has_changed(
    app: App, programs: Programs
) -> None:
    app.paths.shared.mkdir()
    programs.compose({"api": {}, "db": {}})
    programs.answer("docker ps *", "one")
    programs.answer("docker inspect *", inspected("one"))
    programs.answer("docker exec one nvidia-smi -L", UNKNOWN_ERROR, status=255)
    release = app.release()
    activation.start(release)
    ups = [call for call in programs.calls if " up " in call]
    again = "docker compose up -d --no-build"
    assert ups == [f"{again} --force-recreate api", f"{again} api db"]
    log = release.paths.log.read_text()
    assert "api: its containers are replaced: they lost their cards: Failed to initialize" in log


def test_a_service_that_has_its_card_is_left_alone(app: App, programs: Programs) -> None:
    app.paths.shared.mkdir()
    programs.compose({"api": {}})
    programs.answer("docker ps *", "one")
    programs.answer("docker inspect *", inspected("one"))
    programs.answer("docker exec one nvidia-smi -L", LISTED)
    activation.start(app.release())
    assert [call for call in programs.calls if "recreate" in call] == []


def test_a_new_container_without_its_card_is_not_verified(app: App, programs: Programs) -> None:
    app.paths.shared.mkdir()
    programs.compose({"api": {}})
    programs.answer("docker ps *", "one")
    programs.answer("docker inspect *", inspected("one"))
    programs.answer("docker exec one nvidia-smi -L", UNKNOWN_ERROR, status=255)
    with pytest.raises(Failure, match=r"api: its container cannot use its cards: .*Unknown Error"):
        activation.verify(app.release())


def test_cards_that_a_reload_after_the_verification_took_are_given_again(
    app: App, programs: Programs, tmp_path: Path
) -> None:
    """Its scheduled backups are changed last, which makes systemd reload its units."""
    app.paths.shared.mkdir()
    programs.compose({"api": {}})
    up = tmp_path / "up"
    programs.answer("docker ps *", "one")
    programs.answer("docker inspect *", inspected("one"))
    listed, lost = f"echo '{LISTED}'", f"echo '{UNKNOWN_ERROR}'; exit 255"
    programs.answer("docker exec one *", then=f"if [ -e {up} ]; then {listed}; else {lost}; fi")
    programs.answer("docker compose * up *", then=f"touch {up}")
    release = app.release()
    activation.restore_cards(release)
    recreated = [call for call in programs.calls if "--force-recreate api" in call]
    assert len(recreated) == 1
    activation.restore_cards(release)
    assert [call for call in programs.calls if "--force-recreate" in call] == recreated
