"""What counts as the machine's own swap, on machines that have some."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.containers import SWAP_FOLDER
from tests.lab.machine_swap import machine_swap_gb

HEAD = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
IMG = "/swap.img                               file\t\t4194300\t\t0\t\t-2\n"
LVM = "/dev/dm-1                               partition\t2097148\t\t512\t\t-3\n"
ZRAM = "/dev/zram0                              partition\t8388604\t\t0\t\t100\n"
OF_A_HOST = f"{SWAP_FOLDER}/swapfile                     file\t\t1048572\t\t0\t\t-4\n"


@pytest.mark.parametrize(
    ("areas", "gib"),
    [
        ("", 0),
        (IMG, 4),
        (IMG + LVM, 6),
        (LVM + OF_A_HOST, 2),
        (OF_A_HOST, 0),
        (ZRAM + IMG, 4),
        (f"{SWAP_FOLDER}-of-mine {IMG.split(maxsplit=1)[1]}", 4),
    ],
    ids=["none", "a file", "two", "beside a host's", "a host's", "zram is RAM", "a similar name"],
)
def test_areas_that_are_the_machines(tmp_path: Path, areas: str, gib: float) -> None:
    table = tmp_path / "swaps"
    table.write_text(HEAD + areas)
    assert machine_swap_gb(table) == pytest.approx(gib, abs=0.001)
