"""The inventory and its errors: one line, exit status 1, no host is contacted."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run, Workplace

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PYINFRA = str(Path(sys.executable).with_name("pyinfra"))
FILES = {
    "inventory.py": (ROOT / "inventory.py").read_text(),
    "filled.py": (ROOT / "inventory.py").read_text().replace("gpu = [", 'gpu = [\n"@local",', 1),
    "production.py": (ROOT / "inventories" / "production.py").read_text(),
    "fake.py": (
        'hosts = [("@fake/a", {"fake_delay": 0}), ("@fake/b", {"fake_delay": 0})]\n'
        'some = ["@fake/a"]\n'
    ),
    "prints.py": 'print("loading 1 host")\nhosts = [("@fake/a", {"fake_delay": 0})]\n',
    "empty.py": "hosts = []",
    "broken.py": "hosts = [",
    "raises.py": "import os\nhosts = [os.environ['GPU_HOSTS']]",
    "numbers.py": "hosts = [1, 2]",
}
# Arguments of `gpuhost check`: its one line of output.
NO_INVENTORY = {
    "inventory.py": "inventory.py: no host is named yet: add one to inventory.py, such as gpu = [",
    "inventroy.py": "no such inventory file: inventroy.py (did you mean inventory.py?)",
    "inventory": "no such inventory file: inventory (did you mean inventory.py?)",
    "hosts/prod.py": "no such inventory file: hosts/prod.py",
    "nowhere.invalid": "nowhere.invalid is neither an inventory file nor a host: no such file",
    ".": ". is a directory: name an inventory file in it",
    "127.0.0.2,": "'127.0.0.2,' has an empty host name in it",
    "@nothing/x": "@nothing/x: Invalid connector: nothing",
    "empty.py": "empty.py names no host: name your hosts in it, such as gpu = [",
    "broken.py": "broken.py, line 1: '[' was never closed",
    "raises.py": "raises.py: KeyError: 'GPU_HOSTS'",
    "fake.py --limit gpu9": "--limit gpu9 matches no host; groups: @fake, fake, hosts, some; ",
    "fake.py --exclude *": "--limit and --exclude leave no host",
    "production.py --limit x": "--limit x matches no host; groups: china, cpu, inference, prod",
}
USAGE_ERRORS = (
    "",
    "check",
    "check a b",
    "check @local --nonsense",
    "check @local --timeout 0",
    "check @local --data swap_size_gb",
    "chekc @local",
)
LIMITS = {
    "": ["@fake/a", "@fake/b"],
    "--limit some": ["@fake/a"],
    "--limit @fake/b": ["@fake/b"],
    "--limit @fake/*": ["@fake/a", "@fake/b"],
    "--limit some --limit *b": ["@fake/a", "@fake/b"],
    "--exclude some": ["@fake/b"],
}


def _run(workplace: Workplace, *commands: str) -> list[Run]:
    for name, text in FILES.items():
        (workplace.path / name).write_text(text)
    return workplace.many(*(command.split() for command in commands))


def test_inventory_errors_are_one_line(workplace: Workplace) -> None:
    runs = _run(workplace, *(f"check {words} --json" for words in NO_INVENTORY))
    for said, run in zip(NO_INVENTORY.values(), runs, strict=True):
        assert run.exit == 1
        assert run.out == ""
        (line,) = run.err.splitlines()
        assert line.startswith(f"gpuhost: {said}")


def test_invalid_hosts(workplace: Workplace) -> None:
    (run,) = _run(workplace, "check numbers.py")
    assert run.exit == 1
    warning, line = run.err.splitlines()
    assert 'Ignoring host group "hosts"' in warning
    assert line.startswith("gpuhost: numbers.py names no host")


def test_pyinfra_refuses_an_empty_inventory(workplace: Workplace) -> None:
    shutil.copy(ROOT / "inventory.py", workplace.path)
    run = workplace.run(PYINFRA, "inventory.py", str(ROOT / "deploys" / "gpu_host.py"), "-y")
    assert run.exit == 1
    assert "no host is named yet: add one to inventory.py, such" in run.err.splitlines()[-1]


def test_limit(workplace: Workplace) -> None:
    runs = _run(workplace, *(f"check fake.py --json {options}" for options in LIMITS))
    for hosts, run in zip(LIMITS.values(), runs, strict=True):
        assert [host["host"] for host in run.document["hosts"]] == hosts
        assert {host["status"] for host in run.document["hosts"]} == {"error"}
        assert run.exit == 3


def test_a_filled_inventory(workplace: Workplace) -> None:
    (run,) = _run(workplace, "check filled.py --json")
    assert [host["host"] for host in run.document["hosts"]] == ["@local"]


def test_what_the_inventory_prints_stays_out_of_the_json(workplace: Workplace) -> None:
    (run,) = _run(workplace, "check prints.py --json")
    assert len(run.document["hosts"]) == 1
    assert run.err == "loading 1 host\n"


def test_config_py_is_read(workplace: Workplace) -> None:
    (workplace.path / "config.py").write_text(
        'from pyinfra import config\nconfig.REQUIRE_PYINFRA_VERSION = ">=99"\n'
    )
    (run,) = _run(workplace, "check fake.py")
    assert run.exit == 1
    assert run.err.startswith("gpuhost: config.py: ")


def test_usage_errors(workplace: Workplace) -> None:
    for run in _run(workplace, *USAGE_ERRORS):
        assert run.exit == 1
        assert "Usage: gpuhost" in run.err
        assert run.out == ""


def test_help_and_version(workplace: Workplace) -> None:
    overview, help, version = _run(workplace, "-h", "check --help", "--version")
    assert (overview.exit, help.exit, version.exit) == (0, 0, 0)
    assert "gpuhost check inventory.py" in overview.out
    assert "gpuhost check inventory.py --limit gpu" in help.out
    assert "Exit status" in help.out
    assert version.out == "gpuhost, version 0.1.0\n"


@pytest.mark.parametrize("arguments", [["--version"], ["check", "nowhere.invalid"]])
def test_the_installed_command(workplace: Workplace, arguments: list[str]) -> None:
    """In its own process: no import order causes a warning of a library."""
    run = workplace.gpuhost(*arguments)
    assert len((run.out + run.err).splitlines()) == 1
