"""The verbs that run deploys: what they pass to pyinfra, and what they refuse before."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import GPUHOST, Workplace
from tests.cli.sshd import ADDRESSES, Sshd

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PYINFRA = str(Path(sys.executable).with_name("pyinfra"))
GOOD, OTHER = ADDRESSES[:2]
KEYS = ("adopt", "app", "backup", "release", "remove", "swap_size_gb", "colour")
# A deploy of the user: prints its data, and changes nothing.
SHOW = f"""\
import json
from pyinfra import host
given = {{key: host.data.get(key) for key in {KEYS!r}}}
print(json.dumps([host.name, {{key: value for key, value in given.items() if value is not None}}]))
"""
DEPLOYS = ("gpu_host", "app", "rollback", "restore", "abort", "remove")
INVENTORY = 'hosts = [("@fake/a", {"fake_delay": 0}), ("@fake/b", {"fake_delay": 0})]\n'
PASSED_DATA = {
    "provision inventory.py": {},
    "provision inventory.py --adopt --data swap_size_gb=16 --data colour=red": {
        "adopt": True,
        "swap_size_gb": 16,
        "colour": "red",
    },
    "deploy inventory.py tts": {"app": "tts"},
    "deploy inventory.py tts --adopt": {"app": "tts", "adopt": True},
    "rollback inventory.py tts": {"app": "tts"},
    # Digits, and text that JSON reads as a number, stay text.
    "rollback inventory.py tts --to 0123456": {"app": "tts", "release": "0123456"},
    "rollback inventory.py 123 --to 12345e7": {"app": "123", "release": "12345e7"},
    "restore inventory.py true": {"app": "true"},
    "restore inventory.py tts 20261121-033000": {"app": "tts", "backup": "20261121-033000"},
    "abort inventory.py tts": {"app": "tts"},
    "remove inventory.py swap firewall": {"remove": "swap,firewall"},
    "remove inventory.py swap --app tts": {"remove": "swap,app", "app": "tts"},
    "remove inventory.py --app tts": {"remove": "app", "app": "tts"},
}
ERRORS = {
    "provision nowhere.py": "gpuhost: no such inventory file: nowhere.py",
    "provision inventroy.py": "gpuhost: no such inventory file: inventroy.py (did you mean inv",
    "provision empty.py": "gpuhost: empty.py names no host: ",
    "provision raises.py": "gpuhost: raises.py: KeyError: 'GPU_HOSTS'",
    "provision broken.py": "gpuhost: broken.py, line 1: '[' was never closed",
    "provision port.py": "gpuhost: 203.0.113.9: ssh_port = '22' (the inventory, host 2",
    "provision inventory.py --limit gpu9": "gpuhost: --limit gpu9 matches no host; groups: ",
    "provision inventory.py --limit hosts --limit gpu9": "gpuhost: --limit gpu9 matches no host",
    "provision inventory.py --exclude *": "gpuhost: --limit and --exclude leave no host",
    "deploy inventory.py ttss": "Error: apps/ttss.yaml: no such file: did you mean tts?",
    "deploy inventory.py ../tts": "Error: app = '../tts': invalid name: use lowercase letters",
    "rollback inventory.py ../tts": "Error: invalid app name '../tts': use lowercase letters",
    "abort inventory.py ../tts": "Error: invalid app name '../tts': use lowercase letters",
    "restore inventory.py Tts": "Error: invalid app name 'Tts': use lowercase letters",
    "remove inventory.py swapp": "Error: cannot remove swapp: give apt, build, docker, drift, ",
    "remove inventory.py swap app": "Error: cannot remove app: give apt, build, docker, drift, ",
    "remove inventory.py": "Error: nothing to remove: give apt, build, docker, drift, ",
    "remove inventory.py --app x/y": "Error: invalid app name 'x/y': use lowercase letters",
}
USAGE = (
    "provision",
    "deploy inventory.py",
    "provision inventory.py --data swap_size_gb",
    "rollback inventory.py tts --release x",
)


@pytest.fixture
def place(workplace: Workplace) -> Workplace:
    files = {
        "inventory.py": INVENTORY,
        "empty.py": "hosts = []",
        "raises.py": "import os\nhosts = [os.environ['GPU_HOSTS']]",
        "broken.py": "hosts = [",
        "port.py": 'hosts = [("203.0.113.9", {"ssh_port": "22"})]',
        "apps/tts.yaml": "services: {}",
        **{f"deploys/{name}.py": SHOW for name in DEPLOYS},
    }
    for path, text in files.items():
        (workplace.path / path).parent.mkdir(exist_ok=True)
        (workplace.path / path).write_text(text)
    return workplace


def shown(out: str) -> dict[str, dict[str, Any]]:
    return dict(json.loads(line) for line in out.splitlines())


@pytest.mark.parametrize("words", PASSED_DATA)
def test_data_that_is_passed_to_a_deploy(place: Workplace, words: str) -> None:
    run = place.gpuhost(*words.split(), "--dry")
    assert shown(run.out) == dict.fromkeys(("@fake/a", "@fake/b"), PASSED_DATA[words])
    assert run.exit == 0


def test_limit_and_exclude(place: Workplace) -> None:
    limited = place.gpuhost("provision", "inventory.py", "--dry", "--limit", "*b")
    excluded = place.gpuhost("provision", "inventory.py", "--dry", "--exclude", "@fake/b")
    assert set(shown(limited.out)) == {"@fake/b"}
    assert set(shown(excluded.out)) == {"@fake/a"}


def test_an_inventory_is_loaded_once(place: Workplace) -> None:
    (place.path / "inventory.py").write_text(f"print('asking the cloud')\n{INVENTORY}")
    run = place.gpuhost("provision", "inventory.py", "--dry")
    assert (run.err + run.out).count("asking the cloud") == 1


def test_errors_are_one_line(place: Workplace) -> None:
    runs = place.many(*([*words.split(), "-y"] for words in ERRORS))
    for (words, said), run in zip(ERRORS.items(), runs, strict=True):
        assert (run.exit, run.out) == (1, ""), words
        (line,) = run.err.splitlines()
        assert line.startswith(said)


def test_usage_errors(place: Workplace) -> None:
    for run in place.many(*(words.split() for words in USAGE)):
        assert (run.exit, run.out) == (1, "")
        assert "Usage: gpuhost" in run.err


def test_an_interruption_is_no_success(workplace: Workplace, silent_port: int) -> None:
    workplace.inventory({GOOD: {"ssh_port": silent_port}})
    words = [str(GPUHOST), "provision", "inventory.py", "--dry"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(
        words, cwd=workplace.path, env=workplace.environment(), start_new_session=True, **pipes
    )
    assert process.stderr
    # Before it connects, the command itself ends with the same status.
    next(line for line in process.stderr if "Connecting to hosts" in line)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "gpuhost: interrupted\n" in err
    assert "Traceback" not in err


def test_packaged_deploys_have_the_output_of_pyinfra(workplace: Workplace, sshd: Sshd) -> None:
    good = sshd.login(sshd.recorded("as-pyinfra"))
    workplace.inventory({GOOD: good, OTHER: {**good, "swap_size_gb": "16"}})
    deploy = ROOT / "deploys" / "gpu_host.py"
    words = ("inventory.py", "--dry", "--limit", "hosts", "--data", "memory_min_gb=1")
    by_pyinfra = workplace.run(PYINFRA, words[0], str(deploy), *words[1:], timeout=120)
    ours = workplace.gpuhost("provision", *words, timeout=120)
    assert (ours.exit, ours.out) == (by_pyinfra.exit, by_pyinfra.out) == (1, "")
    assert f"1 ({GOOD})" in ours.err
    packaged = ROOT / "gpuhost" / "deploys" / "gpu_host.py"
    # The order of hosts can differ.
    lines = ours.err.replace(str(packaged), str(deploy)).splitlines()
    assert sorted(lines) == sorted(by_pyinfra.err.splitlines())
    shutil.copytree(ROOT / "deploys", workplace.path / "deploys")
    assert "    Loading: deploys/gpu_host.py" in workplace.gpuhost("provision", *words).err


def test_backups_are_listed_without_a_question(workplace: Workplace, sshd: Sshd) -> None:
    workplace.inventory({GOOD: sshd.login(sshd.recorded("no-backups"))})
    run = workplace.gpuhost("restore", "inventory.py", "tts", timeout=120)
    assert run.exit == 1
    assert "it was never released on this host; released apps: none" in run.err
