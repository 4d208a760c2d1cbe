"""Values that no sound host has: every check answers, and none with an error in gpuhost."""

from __future__ import annotations

from typing import Any

import pytest

from gpuhost.checks.registry import all_checks, run_checks
from gpuhost.plans.apt import time_of
from gpuhost.settings.merge import Layer, merge_layers
from tests.recorded import snapshot_of

FAR = "9" * 18
RECORD = f'{{"format": 1, "at": {FAR}, "by": "a", "settings": [], "findings": {{}}, "facts": {{}}}}'
ODD: dict[str, dict[str, Any]] = {
    "a clock far ahead": {"probes": {"clock": {"out": f"{FAR}\n"}}},
    "a clock at the end of the calendar": {"probes": {"clock": {"out": "253402300800\n"}}},
    "a record from the far future": {"files": {"/var/lib/gpuhost/applied.json": RECORD}},
    "no mode": {"probes": {"paths": {"rc": 0, "out": f"9z root root 1 {FAR} file /etc/fstab\n"}}},
    "a file before 1970": {
        "probes": {"stat": {"rc": 0, "out": "644 root root 1 -9 file /etc/x\n"}}
    },
    "no toolkit, and no kernel that could be read": {
        "probes": {"packages": {"out": "ii \tapt\t3.0\tamd64\n"}, "kernel": {"rc": None}}
    },
}


@pytest.mark.parametrize("host", ["debian13-p40", "nvidia-h200", "firewall-guarded", "debian13"])
@pytest.mark.parametrize("odd", ODD)
def test_every_check_answers(host: str, odd: str) -> None:
    snapshot = snapshot_of({"host": host, **ODD[odd]})
    settings = merge_layers([Layer("test", {"apt_mirror": "auto"})])
    nouns = sorted({check.noun for check in all_checks()})
    words = [f"{one.id}: {one.actual}" for one in run_checks(snapshot, settings, nouns)]
    assert [text for text in words if "error in gpuhost" in text] == []


def test_a_moment_that_no_calendar_has() -> None:
    snapshot = snapshot_of({"host": "debian13", "probes": {"clock": {"out": FAR}}})
    assert time_of(snapshot).year == 9999


def test_the_mode_of_a_file_before_1970() -> None:
    state = snapshot_of({"host": "debian13", **ODD["a file before 1970"]}).paths.get("/etc/x")
    assert state is not None
    assert (state.mode, state.modified) == ("0644", -9)
