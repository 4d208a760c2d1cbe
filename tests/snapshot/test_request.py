"""The requests of readers: they are complete, become one script, and recordings need no edit."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gpuhost.checks.registry import run_checks
from gpuhost.plans.request import request_for
from gpuhost.settings import Settings
from gpuhost.snapshot import Probe, Probes, Snapshot
from gpuhost.snapshot.collector import readers_request, script
from gpuhost.snapshot.paths import Paths, PathState
from gpuhost.snapshot.request import ProbeCommand, Request
from tests.recorded import HOSTS, probes

RECORDED = sorted(path.stem for path in HOSTS.glob("*.yaml"))
SETTINGS = [
    pytest.param(Settings(), id="defaults"),
    pytest.param(
        Settings(
            gpu="required",
            apt_mirror="ustc",
            docker_data_root="/srv/docker",
            drift_directory="/srv/fleet",
            nvidia_driver="install",
            proxy_http="http://proxy.example.com:3128",
            swap_path="/srv/swap",
            swap_size_gb=4,
        ),
        id="many",
    ),
]


@dataclass(frozen=True)
class RecordingProbes(Probes):
    """Probes that record which of them are read."""

    names: set[str] = field(default_factory=set, compare=False)
    paths: set[str] = field(default_factory=set, compare=False)

    def get(self, name: str) -> Probe:
        self.names.add(name)
        return super().get(name)

    def __contains__(self, name: str) -> bool:
        self.names.add(name)
        return super().__contains__(name)

    def file(self, path: str) -> str | None:
        self.paths.add(path)
        return super().file(path)


@dataclass(frozen=True)
class RecordingPaths(Paths):
    """Paths that record which of them are read."""

    asked: set[str] = field(default_factory=set, compare=False)

    def get(self, path: str) -> PathState | None:
        self.asked.add(path)
        return super().get(path)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("host", RECORDED)
def test_checks_ask_only_for_what_is_declared(host: str, settings: Settings) -> None:
    watched = RecordingProbes(probes(host).by_name)
    snapshot = Snapshot(watched)
    snapshot.paths = paths = RecordingPaths(snapshot.paths.known)
    assert run_checks(snapshot, settings)
    request = readers_request() | request_for(settings)
    assert watched.names - {probe.name for probe in request.probes} == set()
    assert watched.paths - set(request.files) == set()
    assert paths.asked - {*request.managed, *request.plain} == set()


def test_names_of_probes_are_unique() -> None:
    names = [probe.name for probe in readers_request().probes]
    assert len(names) == len(set(names)) > 50


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_script_is_posix_sh(settings: Settings) -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run(
        [shellcheck, "--shell=sh", "--severity=style", "-"],
        input=script(request_for(settings)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def started_probes(tmp_path: Path, *commands: str, engine_runs: bool = False) -> list[str]:
    """The probes that the script starts, in order, on a host with only these commands."""
    for name in commands:
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    stubs = f"""probe() {{ echo "$1" >&3; }}
at_once() {{ echo "$1" >&3; }}
expect() {{ :; }}
expire() {{ while read -r _; do :; done; }}
uname() {{ :; }}
engine_runs() {{ {str(engine_runs).lower()}; }}
PATH={tmp_path}
exec 3>&1
run_probes
wait
echo then
run_last_probes
wait
"""
    text = script(Request()).replace("main </dev/null\n", stubs)
    done = subprocess.run(["/bin/sh"], input=text, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_a_condition_decides_whether_a_probe_is_run(tmp_path: Path) -> None:
    bare = started_probes(tmp_path)
    assert not {"nvidia_smi", "nvidia_query", "kernel_log", "docker_info"} & set(bare)
    engine = started_probes(tmp_path, engine_runs=True)
    assert {"docker_info", "docker_inspect", "engine_limits"} <= set(engine) - set(bare)
    card = started_probes(tmp_path, "nvidia-smi")
    asked = {"nvidia_smi", "nvidia_query", "nvidia_details"}
    assert set(card) - set(bare) == {*asked, "nvidia_stuck", "kernel_log"}
    started = re.findall(r"^(?:probe|at_once) (\w+)", script(Request()), re.MULTILINE)
    assert started[0] == "nvidia_smi", "what may take longest begins first"
    assert bare[-1] == "then"
    # With a command that answers yes to every question about what has been read.
    again = started_probes(tmp_path, "nvidia-smi", "grep")
    # At the same time, so in any order.
    assert sorted(again[again.index("then") + 1 :]) == [
        *("docker_journal", "listeners_again", "nvidia_query_old"),
    ]


def test_a_list_that_is_empty_starts_no_probe(tmp_path: Path) -> None:
    assert "swap_types" not in started_probes(tmp_path)
    assert "probe swap_types blkid -p -o value -s TYPE /swapfile\n" in script(
        Request(swap_files=("/swapfile",))
    )


@pytest.mark.parametrize("host", RECORDED)
def test_a_new_probe_needs_no_edit_of_a_recording(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older recording gets the value that the new probe declares as `absent`."""
    new = Request(
        probes=(
            ProbeCommand("new", "new-tool --list"),
            ProbeCommand("new_missing", "new-tool --list", absent=Probe(127, "", "not found")),
            ProbeCommand("new_conditional", "new-tool --list", only_if="command -v new-tool"),
            ProbeCommand("new_optional", "new-tool --list", absent=None),
        )
    )
    known = readers_request()
    monkeypatch.setattr("tests.recorded.readers_request", lambda: known | new)
    made = probes(host)
    assert made.get("new") == Probe(0)
    assert made.get("new_missing") == Probe(127, "", "not found")
    assert "new_conditional" not in made
    assert "new_optional" not in made
    assert probes(host, changed={"new": {"out": "one"}}).get("new") == Probe(0, "one")
    assert "new" not in probes(host, changed={"new": None})
