"""On the server itself, `pyinfra @local deploys/gpu_host.py` does what it does over SSH."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

import pytest

from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.inventory import settings
from tests.lab.lab import Lab, Wanted

pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[2]
# The release whose python3 takes the compiled packages of the one that runs the tests.
RELEASE_OF = {(3, 11): "bookworm", (3, 13): "trixie"}
ONLY_FOR_TESTS = ("mypy", "ruff", "shellcheck", "hypothesis", "pip", "setuptools", "uv")


def _packed() -> bytes:
    """The checkout, and the packages that it needs, as one tar."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        tracked = ["git", "ls-files", "gpuhost", "deploys", "templates", "config.py"]
        listing = subprocess.run(tracked, cwd=ROOT, capture_output=True, text=True, check=True)
        for name in listing.stdout.split():
            archive.add(ROOT / name, f"checkout/{name}")
        for entry in Path(sysconfig.get_path("purelib")).iterdir():
            if not entry.name.startswith((*ONLY_FOR_TESTS, "__editable__")):
                archive.add(entry, f"packages/{entry.name}")
    return packed.getvalue()


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


def test_on_the_server_itself(hosts: Hosts, lab: Lab) -> None:
    release = RELEASE_OF.get(sys.version_info[:2])
    if release is None:
        pytest.skip(f"no release of the lab has Python {sys.version_info[0]}.{sys.version_info[1]}")
    (host,) = hosts(Wanted("local", release, card="p40"))
    host.put("/opt/local/packed.tar", _packed())
    host.run("tar x -C /opt/local -f /opt/local/packed.tar", timeout=300)
    status, _, said = _run(host, lab, "pyinfra_cli.main", "-y", "@local", "deploys/gpu_host.py")
    assert status == 0, said
    assert host.run("systemctl is-active docker").stdout == "active\n"
    assert "Status: active" in host.run("ufw status").stdout
    status, out, said = _run(host, lab, "gpuhost.cli", "check", "@local", "--json")
    assert status == 0, said
    (row,) = json.loads(out)["hosts"]
    assert (row["host"], row["status"]) == ("@local", "ok")
    status, _, said = _run(host, lab, "pyinfra_cli.main", "-y", "@local", "deploys/gpu_host.py")
    assert status == 0, said
    assert "] Success" not in said, "a second run changes nothing"
    assert host.ssh("id -un").stdout == "root\n"
