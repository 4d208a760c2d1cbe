"""The cards' reports: what the host sends, and how links, slots and processes are read."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gpuhost.snapshot import NotRead, Probe, Probes
from gpuhost.snapshot.kernel_log import CARD_ERRORS
from gpuhost.snapshot.nvidia_health import STUCK, SXM_BOARD, NvidiaHealth


def _process(home: Path, pid: int, state: str, stack: str, name: str) -> None:
    place = home / str(pid)
    place.mkdir(parents=True)
    (place / "stat").write_text(f"{pid} ({name}) {state} 1 {pid} {pid} 0 -1 4194304\n")
    (place / "stack").write_text(stack)
    (place / "comm").write_text(f"{name}\n")


def _stuck(home: Path, between: str = ":") -> list[str]:
    text = STUCK.replace("/proc/", f"{home}/").replace("sleep 5", between)
    done = subprocess.run(
        ["sh", "-c", text], capture_output=True, text=True, timeout=30, check=True
    )
    return [line.rpartition("/")[2] for line in done.stdout.splitlines()]


DRIVER = "[<0>] os_acquire_mutex+0x2f/0x40 [nvidia]\n[<0>] entry_SYSCALL_64+0x44\n"
UVM = "[<0>] uvm_ioctl+0x2f/0x40 [nvidia_uvm]\n"
DISK = "[<0>] io_schedule+0x46/0x70\n[<0>] ext4_file_read_iter\n"


def test_only_processes_that_wait_for_the_driver(tmp_path: Path) -> None:
    _process(tmp_path, 11, "D", DRIVER, "python3")
    _process(tmp_path, 12, "D", UVM, "tricky) D (name")
    _process(tmp_path, 13, "D", DISK, "rsync")
    _process(tmp_path, 14, "S", DRIVER, "idle")
    _process(tmp_path, 15, "D", DRIVER, "nvidia-smi")
    assert _stuck(tmp_path) == ["11 python3", "12 tricky) D (name"]


def test_a_process_that_waits_for_a_moment_is_not_stuck(tmp_path: Path) -> None:
    _process(tmp_path, 11, "D", DRIVER, "python3")
    assert _stuck(tmp_path, f"rm -r {tmp_path}/11") == []


def test_none(tmp_path: Path) -> None:
    assert _stuck(tmp_path) == []


@pytest.mark.parametrize(
    ("lines", "widths"),
    [
        (["0000:84:00.0/max_link_width:16", "0000:84:00.0/../max_link_width:16"], 16),
        (["0000:84:00.0/max_link_width:16", "0000:84:00.0/../max_link_width:8"], 8),
        (["0000:84:00.0/max_link_width:8", "0000:84:00.0/../max_link_width:16"], 8),
        # A port without a link, a bridge that is not PCIe, a virtual machine without a port.
        (["0000:84:00.0/max_link_width:16", "0000:84:00.0/../max_link_width:0"], None),
        (["0000:84:00.0/max_link_width:16", "0000:84:00.0/../max_link_width:255"], None),
        (["0000:84:00.0/max_link_width:16"], None),
        (["garbage", "0000:84:00.0/max_link_width:x"], None),
    ],
)
def test_lanes_of_card_and_slot(lines: list[str], widths: int | None) -> None:
    out = "".join(f"/sys/bus/pci/drivers/nvidia/{line}\n" for line in lines)
    health = NvidiaHealth(Probes({"nvidia_links": Probe(0, out)}))
    assert health.slot_widths.get("0000:84:00.0") == widths


def test_reports_that_were_not_sent() -> None:
    assert not NvidiaHealth(Probes({})).is_read
    for probe in (Probe(None), Probe(0, ""), Probe(0, "No devices were found\n")):
        with pytest.raises(NotRead):
            assert NvidiaHealth(Probes({"nvidia_details": probe})).reports


SXID = "2026-11-21T20:00:00,1+00:00 nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 12028"
SWITCH = f"""\
{SXID}, Non-fatal, Link 32 egress
{SXID}, Severity 0 Engine instance 32
{SXID}, Data {{0x50610002, 0x00000000}}
"""


def test_the_data_of_an_sxid_does_not_hide_that_it_is_not_fatal() -> None:
    awk = ["awk", CARD_ERRORS]
    done = subprocess.run(awk, input=SWITCH, capture_output=True, text=True, check=True, timeout=20)
    (line,) = done.stdout.splitlines()
    assert line.startswith("1\t")
    assert "Non-fatal" in line


@pytest.mark.parametrize(
    ("names", "asked"),
    [
        (["Tesla V100-SXM2-32GB"] * 8, True),
        (["NVIDIA A100-SXM4-80GB"] * 4 + ["NVIDIA DGX Display"], True),
        (["NVIDIA B200"] * 8, True),
        (["NVIDIA B300 SXM6 AC"] * 8, True),
        (["NVIDIA GB200"] * 4, True),
        (["NVIDIA A100 80GB PCIe"] * 8, False),
        (["NVIDIA GeForce RTX 3090"] * 4, False),
        (["Tesla V100-SXM2-16GB"] * 2, False),
        ([], False),
    ],
)
def test_only_whole_sxm_boards_have_as_many_nvlinks_everywhere(
    tmp_path: Path, names: list[str], asked: bool
) -> None:
    for number, name in enumerate(names):
        place = tmp_path / f"0000:0{number}:00.0"
        place.mkdir()
        (place / "information").write_text(f"Model: \t\t {name}\nIRQ:   \t\t 64\n")
    condition = SXM_BOARD.replace("/proc/driver/nvidia/gpus", str(tmp_path))
    done = subprocess.run(["sh", "-c", condition], stderr=subprocess.DEVNULL, check=False)
    assert (done.returncode == 0) is asked


def links_of(*cards: tuple[str, str]) -> str:
    """As nvidia-smi prints them; "+" is an active link, "-" an inactive one."""
    lines = []
    for index, (name, links) in enumerate(cards):
        lines.append(f"GPU {index}: {name} (UUID: GPU-{index})")
        for number, link in enumerate(links):
            lines.append(f"\t Link {number}: {'25.781 GB/s' if link == '+' else '<inactive>'}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("out", "fewer"),
    [
        (links_of(*[("Tesla V100-SXM2-32GB", "++++++")] * 8), {}),
        (
            links_of(*[("Tesla V100-SXM2-32GB", "++++++")] * 3, ("Tesla V100-SXM2-32GB", "+++-+-")),
            {3: (4, 6)},
        ),
        (links_of(*[("NVIDIA A100-SXM4-80GB", "+" * 12)] * 4, ("NVIDIA DGX Display", "")), {}),
        (links_of(*[("NVIDIA A100-SXM4-80GB", "-" * 12)] * 8), {}),
        (
            f"{links_of(*[('NVIDIA B200', '+' * 18)] * 7)}\nGPU 7: NVIDIA B200 (UUID: GPU-7)\n"
            "NVML: Unable to retrieve NVLink information as all links are inActive\n",
            {7: (0, 18)},
        ),
        ("GPU 0: a name without an end\n\t Link 0: 25.781 GB/s\n", {}),
    ],
)
def test_cards_with_fewer_links(out: str, fewer: dict[int, tuple[int, int]]) -> None:
    assert NvidiaHealth(Probes({"nvidia_nvlink": Probe(0, out)})).fewer_links == fewer
