"""What counts as a change of a container, and how it is compared on the host."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpuhost.runner.contract import container_state, differences, made_with
from gpuhost.snapshot.live import PROGRAM

DATA: dict[str, Any] = yaml.safe_load(
    Path(__file__).with_name("container_states.yaml").read_text(encoding="utf-8")
)
SECRET = "correct-horse"


def edited(edit: dict[str, Any]) -> dict[str, Any]:
    value = copy.deepcopy(DATA["container"])
    for path, new in edit.items():
        *parents, last = (int(word) if word.isdecimal() else word for word in path.split())
        place = value
        for parent in parents:
            place = place[parent]
        place[last] = new
    return value  # type: ignore[no-any-return]


@pytest.mark.parametrize("one", DATA["same"], ids=lambda one: one["what"])
def test_what_changes_by_itself_is_no_difference(one: dict[str, Any]) -> None:
    before, after = made_with(edited(one.get("base", {}))), made_with(edited(one["edit"]))
    assert differences(before, after, frozenset()) == {}


@pytest.mark.parametrize("one", DATA["differs"], ids=lambda one: one["what"])
def test_a_change_is_named_by_its_field(one: dict[str, Any]) -> None:
    before, after = made_with(DATA["container"]), made_with(edited(one["edit"]))
    found = differences(before, after, frozenset())
    assert list(found) == one["fields"]


def test_no_secret_is_in_it() -> None:
    assert SECRET in json.dumps(DATA["container"])
    assert SECRET not in json.dumps(made_with(DATA["container"]))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An app with a record, one without, and one that was never verified."""
    record = {"format": 2, "services": {"web": made_with(DATA["container"])}}
    for name, containers in (("tts", record), ("old", None), ("new", None)):
        release = tmp_path / name / "releases" / "1"
        release.mkdir(parents=True)
        (release / "plan.json").write_text(json.dumps({"project": name}))
        kept = {"format": 1, **({"containers": containers} if containers else {})}
        (release / "fingerprint.json").write_text(json.dumps(kept))
        if name != "new":
            (tmp_path / name / "current").symlink_to("releases/1")
    return tmp_path


def compared(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *ours: Any
) -> Any:
    """What the program prints for a host with these containers."""
    by_id = {one["Id"]: one for one in ours}
    listed = [{"Id": id, "Labels": one["Config"]["Labels"]} for id, one in by_id.items()]
    foreign = {"Id": "f", "Labels": {}}

    def engine(path: str) -> Any:
        if path.startswith("/containers/json"):
            return [*listed, foreign, {"Id": "gone", "Labels": listed[0]["Labels"]}]
        return by_id.get(path.split("/")[2])

    monkeypatch.setattr(container_state, "_engine", engine)
    container_state.main(root)
    return json.loads(capsys.readouterr().out)


def test_the_differences_of_each_app_are_printed(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one_off = {"Config Labels com.docker.compose.oneoff": "True", "HostConfig Memory": 1}
    made = [
        edited({"Id": "1", "HostConfig Memory": 67108864, "Config Env": [f"TOKEN=new-{SECRET}"]}),
        # Two containers of one service with the same difference are one.
        edited({"Id": "2", "HostConfig Memory": 67108864}),
        edited({"Id": "3", **one_off}),
        edited({"Id": "4", "Config Labels com.docker.compose.service": "db", "Image": "x"}),
    ]
    old, tts = compared(root, monkeypatch, capsys, *made)
    assert old == {"name": "old", "kept": False, "differences": []}
    assert (tts["name"], tts["kept"]) == ("tts", True)
    assert [row[:2] for row in tts["differences"]] == [["web", "env TOKEN"], ["web", "memory"]]
    assert tts["differences"][1][2:] == ["2147483648", "67108864"]
    assert SECRET not in json.dumps(tts)
    assert tts["unrecorded"] == []


@pytest.mark.parametrize(
    ("format", "changed", "unrecorded"),
    [
        (1, ["memory"], ["cgroup namespace", "masked paths"]),
        (2, ["cgroup namespace", "masked paths", "memory"], []),
    ],
)
def test_a_record_of_an_older_gpuhost_is_compared_by_the_fields_that_it_has(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    format: int, changed: list[str], unrecorded: list[str],
) -> None:  # fmt: skip
    """An app with `cgroup: host` and `systempaths=unconfined` that nobody has changed."""
    file = root / "tts" / "current" / "fingerprint.json"
    kept = json.loads(file.read_text())
    kept["containers"]["format"] = format
    file.write_text(json.dumps(kept))
    unlike = {"HostConfig CgroupnsMode": "host", "HostConfig MaskedPaths": []}
    _, tts = compared(root, monkeypatch, capsys, edited({**unlike, "HostConfig Memory": 1 << 26}))
    assert [row[1] for row in tts["differences"]] == changed
    assert tts["unrecorded"] == unrecorded


def test_the_program_needs_nothing_but_python_and_says_why_it_failed(root: Path) -> None:
    text = PROGRAM.replace("/run/docker.sock", str(root / "no.sock"))
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", text, str(root)], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr == "the containers of apps: [Errno 2] No such file or directory\n"
