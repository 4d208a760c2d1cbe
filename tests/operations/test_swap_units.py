"""systemd's name of the unit that switches a swap file on at boot."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from gpuhost.plans.swap import unit_name

# As `systemd-escape --path` prints them (systemd 252).
NAMES = {
    "/swapfile": "swapfile",
    "/swap.img": "swap.img",
    "/srv/swap/swapfile": "srv-swap-swapfile",
    "/data-1/my swap": r"data\x2d1-my\x20swap",
    "/.swap": r"\x2eswap",
    "/srv/.swap": "srv-.swap",
    "/srv/é": r"srv-\xc3\xa9",
}


@pytest.mark.parametrize("path", NAMES)
def test_the_name_of_a_path(path: str) -> None:
    assert unit_name(path) == NAMES[path]
    if tool := shutil.which("systemd-escape"):
        shown = subprocess.run([tool, "--path", path], capture_output=True, text=True, check=True)
        assert shown.stdout.strip() == NAMES[path]
