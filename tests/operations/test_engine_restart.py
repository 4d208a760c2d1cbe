"""Why an engine does not start: the line of its journal that says it, on the host and here."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gpuhost.remote.commands import script, script_text
from tests.recorded import snapshot_of

NOT_STARTED = """\
docker.service: Main process exited, code=exited, status=1/FAILURE
docker.service: Failed with result 'exit-code'.
Failed to start docker.service - Docker Application Container Engine.
docker.service: Scheduled restart job, restart counter is at 1.
"""
# What dockerd printed before it ended, and the reason.
JOURNALS = [
    (
        "unable to configure the Docker daemon with file /etc/docker/daemon.json: the following"
        " directives don't match any configuration option: log-drivr",
        "directives don't match any configuration option: log-drivr",
    ),
    (
        'time="2026-11-30T10:00:00Z" level=info msg="Starting up"\n'
        "failed to start daemon: Error initializing network controller: invalid subnet",
        "failed to start daemon: Error initializing network controller",
    ),
    (
        "failed to start daemon: address pool is used up\n"
        'time="2026-11-30T10:00:01Z" level=warning msg="cannot stop a plugin"\n'
        "docker.service: Main process exited, code=exited, status=2/INVALIDARGUMENT",
        "address pool is used up",
    ),
    (
        'time="2026-11-30T10:00:00Z" level=info msg="Starting up"\n'
        "mkdir /proc/x: no such file or directory",
        "mkdir /proc/x: no such file or directory",
    ),
    ("unknown flag: --storage-drivr\nSee 'dockerd --help'.", "unknown flag: --storage-drivr"),
    (
        "unable to configure proxy https://ada:s3cret@proxy.example:3128",
        "proxy https://***@proxy.example:3128",
    ),
]


def tools(folder: Path, **scripts: str) -> dict[str, str]:
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def restart(folder: Path, **scripts: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-s", "--"],
        input=script_text("engine_restart.sh"),
        env=tools(folder, **scripts),
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(("printed", "reason"), JOURNALS)
def test_the_reason_is_what_dockerd_said(tmp_path: Path, printed: str, reason: str) -> None:
    (tmp_path / "journal").write_text(f"{printed}\n{NOT_STARTED}")
    done = restart(
        tmp_path,
        systemctl='[ "$1" != restart ]',
        journalctl=f"cat {tmp_path}/journal",
    )
    assert done.returncode == 1
    assert reason in done.stderr
    assert "Failed to start" not in done.stderr
    probes = {
        "docker_info": None,
        "docker_containers": None,
        "docker_journal": {"rc": 0, "out": f"{printed}\n{NOT_STARTED}"},
    }
    words = snapshot_of({"host": "debian13-docker", "probes": probes}).docker.last_words
    assert words == done.stderr.strip()


def test_an_engine_that_starts_and_does_not_answer(tmp_path: Path) -> None:
    done = restart(
        tmp_path,
        systemctl="exit 0",
        docker="echo 'Cannot connect to the Docker daemon' >&2; exit 1",
        journalctl="echo 'level=info msg=\"API listen on /run/docker.sock\"'",
    )
    assert (done.returncode, done.stderr) == (1, "Cannot connect to the Docker daemon\n")


def test_an_engine_that_answers(tmp_path: Path) -> None:
    done = restart(tmp_path, systemctl="exit 0", docker="echo answers", journalctl="exit 9")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("docker", "says"),
    [
        ("[ ! -e daemon.json ] || grep -q old daemon.json", "the previous one is restored: "),
        ("exit 1", "with the new daemon.json or with the previous one, which is restored: "),
    ],
)
def test_a_configuration_with_which_the_engine_does_not_start(
    tmp_path: Path, docker: str, says: str
) -> None:
    for name, text in (("daemon.json", "old"), ("record", "was")):
        (tmp_path / name).write_text(text)
        (tmp_path / f"{name}.gpuhost-new").write_text("new")
    sent = script("docker_config.sh", seconds=9)
    text = str(sent.connector_arguments["_stdin"])
    done = subprocess.run(
        ["sh", "-s", "--", "daemon.json", "record", "yes"],
        input=text.replace("/var/lib/gpuhost/docker", str(tmp_path / "kept")),
        cwd=tmp_path,
        env=tools(
            tmp_path,
            dockerd="exit 0",
            systemctl="exit 0",
            docker=docker,
            journalctl="echo 'failed to start daemon: no such thing'",
        ),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert f"{says}failed to start daemon: no such thing" in done.stderr
    assert (tmp_path / "daemon.json").read_text() == "old"
    assert (tmp_path / "record").read_text() == "was"
