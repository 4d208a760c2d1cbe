"""The wheel has all files that a run needs, and works from an empty directory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import sshd as sshd
from tests.cli.drifting import blank
from tests.cli.sshd import ADDRESSES, Sshd

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
PIP = ["-m", "pip", "-q", "--disable-pip-version-check"]


# What a wheel is built from.
PARTS = ("apps", "deploys", "gpuhost", "group_data", "templates")
FILES = ("LICENSE", "README.md", "config.py", "inventory.py", "pyproject.toml")
APP = """\
x-gpuhost: {source: {git: "https://git.example.invalid/a.git", overlay: patched.overlay}}
services: {web: {image: "web:1"}}
"""
READ_OVERLAY = """\
from gpuhost.appfile.loading import find, load
from gpuhost.release.overlay import read_overlay
found = read_overlay(load(find("patched")))
print(found.revision, *found.files)
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, with a packaged app that has an overlay."""
    made = tmp_path_factory.mktemp("checkout")
    for name in PARTS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, made / name, symlinks=True, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, made)
    overlay = made / "apps" / "patched.overlay"
    for name in ("Dockerfile", ".dockerignore", "lib/.hidden/x", "lib/__init__.py", "lib/run.sh"):
        (overlay / name).parent.mkdir(parents=True, exist_ok=True)
        (overlay / name).write_text("")
    (overlay / "lib/run.sh").chmod(0o755)
    (made / "apps" / "patched.yaml").write_text(APP)
    return made


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("wheel")
    build = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", str(made), str(checkout)]
    subprocess.run([sys.executable, *build], check=True, cwd=made, timeout=300)
    (wheel,) = made.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel and its dependencies."""
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=300)
    python = environment / "bin" / "python"
    subprocess.run([python, *PIP, "install", "--no-deps", wheel], check=True, timeout=300)
    # The dependencies come from the environment of the tests, without a download. gpuhost is from
    # the wheel: a link to a checkout in that environment has no effect here.
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return python.parent


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**kept, "HOME": str(cwd), "PYINFRA_PROGRESS": "off", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_the_wheel_has_all_files(wheel: Path) -> None:
    carried = zipfile.ZipFile(wheel).namelist()
    assert {str(source.relative_to(ROOT)) for source in ROOT.glob("gpuhost/**/*.sh")} <= {*carried}
    for directory in ("templates", "apps", "deploys", "templates/repository"):
        # Links to directories are not followed here.
        files = [path for path in (ROOT / directory).rglob("*") if path.is_file()]
        names = {f"gpuhost/{path.relative_to(ROOT)}" for path in files if path.suffix != ".pyc"}
        assert names
        assert names <= {*carried}


def test_the_wheel_works_without_the_checkout(programs: Path, tmp_path: Path) -> None:
    program = (
        "import gpuhost; from gpuhost.appfile.loading import find, load; load(find('z-pulse'));"
        "print(gpuhost.__file__)"
    )
    place = run(programs / "python", "-c", program, cwd=tmp_path).stdout
    assert place.startswith(str(programs.parent))
    done = run(programs / "gpuhost", "check", "@local", "--json", cwd=tmp_path)
    (row,) = json.loads(done.stdout)["hosts"]
    assert row["host"] == "@local"
    assert len(row["findings"]) > 40
    assert list(tmp_path.iterdir()) == []


def test_an_overlay_is_the_same_in_the_wheel(
    programs: Path, checkout: Path, tmp_path: Path
) -> None:
    """The installed files, which pip has compiled, have the revision of the checkout's."""
    installed = run(programs / "python", "-c", READ_OVERLAY, cwd=tmp_path).stdout
    assert list(programs.parent.glob("lib/python*/site-packages/gpuhost/apps/*/lib/__pycache__"))
    assert installed.split()[1:] == [
        ".dockerignore", "Dockerfile", "lib/.hidden/x", "lib/__init__.py", "lib/run.sh",
    ]  # fmt: skip
    assert run(sys.executable, "-c", READ_OVERLAY, cwd=checkout).stdout == installed


def test_a_user_repository(programs: Path, tmp_path: Path, sshd: Sshd) -> None:
    gpuhost, here = programs / "gpuhost", tmp_path / "hosts"
    output = run(gpuhost, "init", "hosts", cwd=tmp_path).stdout
    commands = [line.split("  ")[1].split() for line in output.splitlines() if "  gpuhost " in line]
    assert [command[1] for command in commands] == ["check", "provision"]
    for _, *words in commands:
        empty = run(gpuhost, *words, cwd=here)
        assert (empty.returncode, empty.stderr.count("\n")) == (1, 1)
        assert "no host is named yet: add one to inventory.py" in empty.stderr
    name_a_host(here / "inventory.py", sshd.login(blank(sshd, "wheel")))
    check, provision = (run(gpuhost, *words, cwd=here) for _, *words in commands)
    assert ADDRESSES[0] in check.stdout
    assert check.returncode == 2
    assert provision.returncode == 0
    assert "    Loading: deploys/gpu_host.py\n" in provision.stderr
    assert "Detected changes" in provision.stderr


def test_the_packaged_deploys_serve_a_directory_without_its_own(
    programs: Path, tmp_path: Path, sshd: Sshd
) -> None:
    (tmp_path / "inventory.py").write_text("gpu = [\n]\n")
    name_a_host(tmp_path / "inventory.py", sshd.login(sshd.recorded("wheel")))
    done = run(programs / "gpuhost", "provision", "inventory.py", "--dry", cwd=tmp_path)
    assert done.returncode == 0
    assert f"Loading: {programs.parent}/lib" in done.stderr


def name_a_host(inventory: Path, login: dict[str, Any]) -> None:
    text = inventory.read_text()
    assert "gpu = [\n" in text
    inventory.write_text(text.replace("gpu = [\n", f"gpu = [\n    {(ADDRESSES[0], login)!r},\n", 1))
