"""When systemd reads its units again, which takes the GPUs from containers on some hosts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gpuhost.plans.reload import needs_reload
from tests.recorded import snapshot_of

OPERATIONS = Path(__file__).parents[2] / "gpuhost" / "operations"
UNIT = "/etc/systemd/system/gpuhost-x.service"
DROP_IN = "/etc/systemd/system/docker.service.d/x.conf"
LOADED = "Id=gpuhost-x.service\nLoadState=loaded\n\nId=docker.service\nLoadState=loaded\n"
ABSENT = "Id=gpuhost-x.service\nLoadState=not-found\n\nId=docker.service\nLoadState=not-found\n"
ON_DISK = f"644 root root 1 1795299407 regular file {UNIT}\n"


@pytest.mark.parametrize(
    ("path", "units", "files", "expected"),
    [
        pytest.param(UNIT, ABSENT, "", False, id="a new unit"),
        pytest.param(UNIT, LOADED, ON_DISK, True, id="a changed unit"),
        pytest.param(UNIT, "", ON_DISK, True, id="a changed unit that nobody asked for"),
        pytest.param(UNIT, LOADED, "", True, id="a unit whose file somebody deleted"),
        pytest.param(DROP_IN, LOADED, "", True, id="a new drop-in of a unit that is there"),
        pytest.param(DROP_IN, ABSENT, "", False, id="a drop-in of a unit that comes later"),
        pytest.param("/usr/local/lib/gpuhost/x", LOADED, ON_DISK, False, id="a program"),
    ],
)
def test_a_reload_is_needed(path: str, units: str, files: str, expected: bool) -> None:
    changed = {"units": {"rc": 0, "out": units}, "stat": {"rc": 0, "out": files}}
    assert needs_reload(snapshot_of({"host": "debian13", "probes": changed}), [path]) is expected


def test_operations_enable_and_reload_in_one_way() -> None:
    """`systemctl enable` and `disable` reload too, if they have no --root."""
    direct = re.compile(r'"systemctl", "(?:daemon-reload|enable|disable)"')
    texts = {path.name: path.read_text("utf-8") for path in OPERATIONS.glob("*.py")}
    assert {name for name, text in texts.items() if direct.search(text)} == set()
