"""`pyinfra @local deploys/gpu_host.py`, on the server itself, does the same as over SSH."""

from __future__ import annotations

import io
import json
import platform
import shlex
import sys
import sysconfig
import tarfile
from pathlib import Path

import pytest

from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.inventory import settings
from tests.lab.lab import HostSpec, Lab
from tests.lab.process import run

pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[2]
# Compiled packages are for the host's Python, not for the one that runs the tests.
RELEASE, PYTHON = "trixie", "3.13"
LIBRARIES = ("manylinux2014", "manylinux_2_17", "manylinux_2_28", "manylinux_2_34")
CHECKOUT = ("gpuhost", "deploys", "templates", "config.py")


def _packed(folder: Path) -> bytes:
    """A tar of the checkout and of the packages that it needs."""
    _install(folder)
    # The version of gpuhost is in the metadata of the tests' own installation.
    (metadata,) = Path(sysconfig.get_path("purelib")).glob("gpuhost-*.dist-info")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in run(["git", "-C", str(ROOT), "ls-files", *CHECKOUT], timeout=30).stdout.split():
            archive.add(ROOT / name, f"checkout/{name}")
        for entry in (*folder.iterdir(), metadata):
            archive.add(entry, f"packages/{entry.name}")
    return packed.getvalue()


def _install(folder: Path) -> None:
    """Install requirements.txt for the host's Python."""
    platforms = [f"--platform={library}_{platform.machine()}" for library in LIBRARIES]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
    target = [f"--target={folder}", f"--python-version={PYTHON}", "--only-binary=:all:", *platforms]
    requirements = ["--no-deps", "--require-hashes", "-r", str(ROOT / "requirements.txt")]
    run([*pip, *target, *requirements], timeout=300)


def _run(host: LabHost, lab: Lab, module: str, *words: str) -> tuple[int, str, str]:
    data = settings(host.state, lab.repository)
    options = [
        word
        for key, value in data.items()
        for word in ("--data", f"{key}={value if isinstance(value, str) else json.dumps(value)}")
    ]
    program = f"from {module} import main; main()"
    argv = ["python3", "-c", program, *words, *options]
    line = f"cd /opt/local/checkout && PYTHONPATH=../packages:. {shlex.join(argv)}"
    done = host.run(line, timeout=600, check=False)
    return done.status, done.stdout, done.stderr


def test_on_the_server_itself(hosts: Hosts, lab: Lab, tmp_path: Path) -> None:
    (host,) = hosts(HostSpec("local", RELEASE, card="p40"))
    host.put("/opt/local/packed.tar", _packed(tmp_path))
    host.run("tar x -C /opt/local -f /opt/local/packed.tar", timeout=300)
    status, _, err = _run(host, lab, "pyinfra_cli.main", "-y", "@local", "deploys/gpu_host.py")
    assert status == 0, err
    assert host.run("systemctl is-active docker").stdout == "active\n"
    assert "Status: active" in host.run("ufw status").stdout
    status, out, err = _run(host, lab, "gpuhost.cli", "check", "@local", "--json")
    assert status == 0, err
    (row,) = json.loads(out)["hosts"]
    assert (row["host"], row["status"]) == ("@local", "ok")
    status, _, err = _run(host, lab, "pyinfra_cli.main", "-y", "@local", "deploys/gpu_host.py")
    assert status == 0, err
    assert "] Success" not in err, "a second run changes nothing"
    assert host.ssh("id -un").stdout == "root\n"
