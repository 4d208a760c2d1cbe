"""Hosts that are hostile, in one fleet with good ones: each costs its own row, and nothing else."""

from __future__ import annotations

import json
import re
import shutil
import time
import unicodedata
from pathlib import Path

import pytest

from gpuhost.checks.registry import all_checks
from tests.cli.conftest import GPUHOST, Run, Workplace
from tests.cli.drifting import blank
from tests.cli.hostile import attacks
from tests.cli.sshd import ADDRESSES, Sshd

pytestmark = pytest.mark.slow

GOOD = ("good", "good too", "good as well")
TIMEOUT = "40"
# Says what is wrong, for each command that reads hosts: a pattern of the reason.
REASONS = {
    "bomb": "unpacks to more than 32 MB",
    "one endless line": "the reading printed more than 8 MB",
    # Less than the limit of a deploy, which config.py sets.
    "one long line": "the reading printed more than 8 MB",
    "endless lines": "the reading printed more than 8 MB",
    "empty lines": "the reading printed more than 8 MB",
    "endless errors": "the reading printed more than 8 MB",
    "cut": "the host's reply is incomplete",
    "lines": "has more than 8 MB or 500000 lines: 'files'",
}
# Only the part about apps is unusable: the rest of the host is checked.
ONLY_APPS = {
    "apps": "30000 apps; at most 200",
    "deep": "nested too deeply",
    "NaN": "NaN is no number",
    "1e400": "a number is too large",
    "digits": "a number is too large",
}
# A directory that cannot be an app's hides no app.
MISNAMED = ("app name", "markup", "long name")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, sshd: Sshd) -> Workplace:
    made = Workplace(tmp_path_factory.mktemp("hostile"))
    shutil.copy(Path(__file__).parents[2] / "config.py", made.path)
    good = {name: sshd.login(blank(sshd, f"hostile-{name[5:]}")) for name in GOOD}
    hosts = {GOOD[0]: good[GOOD[0]], **attacks(made.path, sshd), **good}
    made.inventory({name: {"ssh_hostname": ADDRESSES[0], **data} for name, data in hosts.items()})
    return made


COMMANDS = {
    "check": "check inventory.py",
    "drift": "drift inventory.py --history runs --html drift.html --metrics gpuhost.prom",
    "status": "status inventory.py",
    "releases": "releases inventory.py --app tts",
}


@pytest.fixture(scope="module")
def runs(place: Workplace) -> dict[str, Run]:
    began = time.monotonic()
    each = {}
    for name, command in COMMANDS.items():
        for options in (["--json"], []):
            arguments = [*command.split(), "--timeout", TIMEOUT, *options]
            each[f"{name}{' --json' if options else ''}"] = place.gpuhost(*arguments, timeout=120)
    each["logs"] = place.gpuhost("logs", "inventory.py", "--app", "tts", "--timeout", TIMEOUT)
    assert time.monotonic() - began < 400
    return each


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", REASONS)
def test_a_hostile_host_has_a_reason(runs: dict[str, Run], command: str, name: str) -> None:
    host = runs[f"{command} --json"].host(name)
    assert host["status"] == "error"
    assert re.search(REASONS[name], host["reason"]), host["reason"]
    assert len(host["reason"]) < 700


@pytest.mark.parametrize("name", ONLY_APPS)
def test_what_is_wrong_with_its_apps_is_said(runs: dict[str, Run], name: str) -> None:
    assert re.search(ONLY_APPS[name], runs["status --json"].host(name)["reason"])
    drift = runs["drift --json"].host(name)
    found = {one["id"]: one for one in drift["findings"]}
    assert re.search(ONLY_APPS[name], found["app.state"]["actual"])
    assert found["app.state"]["status"] == "unknown"
    assert len(found) >= len(all_checks())


@pytest.mark.parametrize("name", MISNAMED)
def test_a_name_that_no_app_can_have_is_told(runs: dict[str, Run], name: str) -> None:
    found = {one["id"]: one for one in runs["drift --json"].host(name)["findings"]}
    assert found["app.state"]["status"] == "warn"
    assert found["app.state"]["actual"].startswith("no app can have this name: ")
    assert len(found["app.state"]["actual"]) < 700


@pytest.mark.parametrize("command", ["check", "drift"])
def test_good_hosts_are_read(runs: dict[str, Run], command: str) -> None:
    run = runs[f"{command} --json"]
    findings = [run.host(name)["findings"] for name in GOOD]
    assert findings[0] == findings[1] == findings[2]
    assert len(findings[0]) >= len(all_checks())
    assert [host["host"] for host in run.document["hosts"]][-1] == GOOD[-1]


def printable(text: str) -> bool:
    return all(c.isprintable() or c == "\n" for c in text)


def test_no_output_has_a_control_character(runs: dict[str, Run], place: Workplace) -> None:
    texts = {name: run.out + run.err for name, run in runs.items()}
    for file in ("drift.html", "gpuhost.prom", *sorted(map(str, place.path.glob("runs/*")))):
        texts[file] = (place.path / file).read_text()
    for name, text in texts.items():
        bad = {f"{c!r} {unicodedata.category(c)}" for c in text if not printable(c)}
        assert not bad, (name, bad)
    assert "gnp.exe" in texts["status"] + texts["releases"], "the words are shown"


def test_json_has_no_escaped_control_character(runs: dict[str, Run], place: Workplace) -> None:
    documents = [json.loads(run.out) for name, run in runs.items() if name.endswith("--json")]
    documents += [json.loads(file.read_text()) for file in place.path.glob("runs/*")]
    for document in documents:
        text = json.dumps(document, ensure_ascii=False, allow_nan=False)
        assert not re.search(r"\\u00[0189]|\\u20[02]", text)


def test_outputs_are_small(runs: dict[str, Run], place: Workplace) -> None:
    for name, run in runs.items():
        assert len(run.out) < 4_000_000, name
        assert run.exit == 3, (name, run.err)
    for file in (*place.path.glob("runs/*"), place.path / "drift.html"):
        assert Path(file).stat().st_size < 4_000_000


def test_memory_is_bounded(place: Workplace) -> None:
    """The largest process of the run, with every attack at once."""
    code = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)\n"
    )
    words = [str(GPUHOST), "check", "inventory.py", "--json", "--timeout", TIMEOUT]
    run = place.run("python3", "-c", code, *words, timeout=120)
    assert int(run.out) < 700
