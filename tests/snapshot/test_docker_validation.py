"""dockerd's judgement of its configuration: when it is asked, with which flags, and its answers."""

from __future__ import annotations

import os
import subprocess
import time
from importlib.resources import files
from pathlib import Path

import pytest

from gpuhost import snapshot
from gpuhost.snapshot import Probe, Probes
from gpuhost.snapshot.daemon_config import VALIDATE, read_daemon_config
from tests.snapshot.local import PATH, command

COLLECTOR = files(snapshot).joinpath("collector.sh").read_text(encoding="utf-8")


def is_asked(tmp_path: Path, *, runs: bool, newer: str = "", pid: bool = True) -> bool:
    """Whether engine_is_behind says so, if one file changed after the engine's start.

    + runs: the engine runs; newer: the name of the file; pid: the engine has written its pid
    """
    names = [name for name in ("daemon.json", "docker.service", "a.conf") if name != newer]
    for name in names:
        (tmp_path / name).write_text("{}")
    started = max((tmp_path / name).stat().st_ctime for name in names) + 0.02
    (tmp_path / "docker.pid").write_text("9")
    os.utime(tmp_path / "docker.pid", (started, started))
    if newer:
        # As `tar`, `cp -p` and rsync do: with the date of its source.
        time.sleep(0.05)
        (tmp_path / newer).write_text("{}")
        os.utime(tmp_path / newer, (0, 0))
    if not pid:
        (tmp_path / "docker.pid").unlink()
    (tmp_path / "docker_unit.out").write_text(
        f"FragmentPath={tmp_path}/docker.service\nDropInPaths=/missing.conf {tmp_path}/a.conf\n"
    )
    command(tmp_path / "bin", "dockerd", "exit 0")
    test = f"{COLLECTOR}\nengine_is_behind {tmp_path}/docker.pid {tmp_path}/daemon.json"
    environment = {
        "PATH": f"{tmp_path}/bin:{PATH}",
        "work": str(tmp_path),
        "engine": "0" if runs else "3",
    }
    done = subprocess.run(["sh", "-c", test], capture_output=True, text=True, env=environment)
    assert (done.stdout, done.stderr) == ("", "")
    return done.returncode == 0


def test_it_is_asked_only_about_what_the_engine_has_not_started_with(tmp_path: Path) -> None:
    assert not is_asked(tmp_path, runs=True)
    for newer in ("daemon.json", "docker.service", "a.conf"):
        assert is_asked(tmp_path, runs=True, newer=newer), newer
    assert is_asked(tmp_path, runs=False), "it is stopped: a start reads the file"
    assert is_asked(tmp_path, runs=True, pid=False), "when it started is not known"


def test_without_a_file_nothing_is_asked(tmp_path: Path) -> None:
    test = f"{COLLECTOR}\nengine=3; engine_is_behind {tmp_path}/pid {tmp_path}/daemon.json"
    command(tmp_path / "bin", "dockerd", "exit 0")
    environment = {"PATH": f"{tmp_path}/bin:{PATH}"}
    assert subprocess.run(["sh", "-c", test], env=environment).returncode == 1


@pytest.mark.parametrize(
    ("shown", "flags"),
    [
        ("argv[]=/usr/bin/dockerd -H fd:// -D", "-H fd:// -D"),
        ("argv[]=/usr/bin/dockerd -H fd:// $OPTIONS", ""),
        ("argv[]=/usr/bin/dockerd --label 'a b'", ""),
        ("argv[]=/opt/start-docker --fast", ""),
        ("argv[]=/usr/bin/dockerd", ""),
        ("argv[]=/usr/bin/dockerd --label *", ""),
    ],
)
def test_the_flags_of_the_unit_are_given(tmp_path: Path, shown: str, flags: str) -> None:
    (tmp_path / "unit").write_text(
        f"ExecStart={{ path=/usr/bin/x ; {shown} ; ignore_errors=no ; pid=0 }}\nin /x\n"
    )
    command(tmp_path / "bin", "dockerd", 'echo "$@"')
    done = subprocess.run(
        ["sh", "-c", VALIDATE, "sh", str(tmp_path / "unit")],
        capture_output=True,
        text=True,
        env={"PATH": f"{tmp_path}/bin:{PATH}"},
    )
    assert done.stdout.split() == ["--validate", *flags.split()]


@pytest.mark.parametrize(
    ("rc", "err", "refused", "untried"),
    [
        (0, "", "", False),
        (
            1,
            "unable to configure: http://ada:s3cret@p\n",
            "unable to configure: http://***@p",
            False,
        ),
        (1, "Status: unknown flag: --validate\nSee 'dockerd --help'., Code: 125\n", "", True),
        (
            1,
            "Status: unknown flag: --a\nSee 'dockerd --help'., Code: 125\n",
            "unknown flag: --a",
            False,
        ),
        (1, "\"dockerd\" accepts no argument(s).\nSee 'dockerd --help'.\n", "", False),
        (1, "", "no reason is given", False),
        (None, "", "", True),
        (124, "", "", True),
        (2, "fatal error: out of memory\n", "", True),
    ],
)
def test_answers(rc: int | None, err: str, refused: str, untried: bool) -> None:
    files = Probe(0, "/etc/docker/daemon.json:{}\n")
    probes = Probes({"files": files, "docker_validation": Probe(rc, "", err)})
    config = read_daemon_config(probes, None)
    assert (config.refused, config.untried) == (refused, untried)
