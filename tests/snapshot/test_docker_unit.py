"""docker.service as systemd shows it, through the collector's own script with a stand-in for
systemctl: the text of systemd 252 and 257, where they were read for this.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gpuhost.snapshot import Probe, Probes
from gpuhost.snapshot.docker_unit import SHOWN, DockerUnit
from tests.snapshot.local import PATH, command

COMMAND = (
    "ExecStart={{ path={path} ; argv[]={argv} ; ignore_errors=no ; start_time=[n/a] ;"
    " stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }}"
)


def read(tmp_path: Path, argv: str, *shown: str, path: str = "/usr/bin/dockerd") -> DockerUnit:
    """The unit in tmp_path/docker.service, with one drop-in."""
    text = "\n".join((COMMAND.format(path=path, argv=argv), *shown))
    (tmp_path / "shown").write_text(f"{text}\n")
    command(tmp_path / "bin", "systemctl", f"cat {tmp_path}/shown")
    environment = {"PATH": f"{tmp_path}/bin:{PATH}", "LC_ALL": "C"}
    done = subprocess.run(["sh", "-c", SHOWN], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "s3cret" not in done.stdout
    return DockerUnit.read(Probes({"docker_unit": Probe(0, done.stdout)}))


def flags(unit: DockerUnit) -> list[tuple[str, str]]:
    return [(each.flag.text, Path(each.file).name) for each in unit.flags or ()]


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """FragmentPath and DropInPaths of a unit whose drop-in replaces the command."""
    unit, drop_in = tmp_path / "docker.service", tmp_path / "a.conf"
    unit.write_text("[Service]\nExecStart=/usr/bin/dockerd -H fd://\n")
    drop_in.write_text("[Service]\nExecStart=\nExecStart = /usr/bin/dockerd \\\n -D\n")
    return f"FragmentPath={unit}", f"DropInPaths={drop_in}"


def test_the_file_that_has_the_command_is_named(tmp_path: Path, files: tuple[str, str]) -> None:
    unit = read(tmp_path, "/usr/bin/dockerd -D --http-proxy http://ada:s3cret@p", *files)
    assert flags(unit) == [("-D", "a.conf"), ("--http-proxy http://***@p", "a.conf")]
    (tmp_path / "a.conf").write_text("[Service]\nExecStart=\n# ExecStart=x\nEnvironment=A=b\n")
    assert flags(read(tmp_path, "/usr/bin/dockerd -D", *files)) == [("-D", "docker.service")]


def test_variables_of_the_unit_and_of_a_file(tmp_path: Path, files: tuple[str, str]) -> None:
    (tmp_path / "b.conf").write_text(
        '[Service]\nEnvironment="DOCKER_OPTS=--label a=b"\nEnvironment=ROOT=/x\n'
    )
    defaults = tmp_path / "docker"
    defaults.write_text(
        "# NOT=this\nHTTP_PROXY=http://ada:s3cret@p\nMORE='--mtu 1400 \\\n --live-restore'\n"
        'OPTS_OF_OTHERS="s3cret"\n'
    )
    unit = read(
        tmp_path,
        "/usr/bin/dockerd -H fd:// $DOCKER_OPTS --data-root=${ROOT}/d $MORE $UNSET -s $DRIVER",
        files[0],
        f"{files[1]} {tmp_path}/b.conf",
        f"EnvironmentFiles={defaults} (ignore_errors=yes)",
        'Environment=HTTP_PROXY=http://ada:s3cret@p "DOCKER_OPTS=--label a=b --log-opt'
        " 'tag=x y' --log-opt splunk-token=s3cret\" ROOT=/x DRIVER=overlay2",
    )
    assert flags(unit) == [
        ("-H fd://", "a.conf"),
        ("--label a=b", "b.conf"),
        ("--log-opt tag=x y", "b.conf"),
        ("--log-opt splunk-token=***", "b.conf"),
        ("--data-root=/x/d", "a.conf"),
        ("--mtu 1400", "docker"),
        ("--live-restore", "docker"),
        ("-s overlay2", "a.conf"),
    ]
    values = {each.flag.name: each.flag.value for each in unit.flags or ()}
    assert (values["data-root"], values.get("bip")) == ("/x/d", None)


def test_another_program_has_unknown_flags(tmp_path: Path, files: tuple[str, str]) -> None:
    unit = read(tmp_path, "/bin/sh -c exec dockerd", *files, path="/bin/sh")
    assert (unit.program, unit.flags) == ("/bin/sh", None)


def test_files_that_systemd_has_not_read(tmp_path: Path, files: tuple[str, str]) -> None:
    assert read(tmp_path, "/usr/bin/dockerd", *files).unread == ()
    changed = read(tmp_path, "/usr/bin/dockerd", *files, "NeedDaemonReload=yes")
    assert changed.unread == (f"{tmp_path}/a.conf",)
    new = f"drop-in {tmp_path}/new.conf\ndrop-in /run/a.conf\n"
    text = f"{COMMAND.format(path='/usr/bin/dockerd', argv='dockerd')}\n{files[1]}\n{new}"
    unit = DockerUnit.read(Probes({"docker_unit": Probe(0, text)}))
    assert unit.unread == (f"{tmp_path}/new.conf",), "systemd reads one of the same name"


def test_no_unit(tmp_path: Path) -> None:
    command(tmp_path / "bin", "systemctl", "printf 'FragmentPath=\\nDropInPaths=\\n'")
    done = subprocess.run(
        ["sh", "-c", SHOWN], capture_output=True, text=True, env={"PATH": f"{tmp_path}/bin:{PATH}"}
    )
    assert done.returncode == 0
    assert DockerUnit.read(Probes({"docker_unit": Probe(0, done.stdout)})) == DockerUnit()
