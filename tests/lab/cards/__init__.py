"""Simulated cards: recorded outputs of nvidia-smi, and what a driver shows in /proc and /sys.

One YAML file a card; its comment says what it stands for.
"""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from tests.lab.process import LabError, need, run
from tests.lab.state import folder, locked
from tests.nvidia.details import details_of_query

HERE = Path(__file__).parent
PROGRAM = HERE / "nvidia-smi.c"
CUDA = HERE / "libcuda.c"
# Where the distribution has it, and where the dynamic linker looks.
LIBRARY = f"/usr/lib/{platform.machine()}-linux-gnu/libcuda.so.1"
# init.sh moves it to /lab/card at the first boot.
ROOT = "/lab/next"


@dataclass(frozen=True)
class CardFile:
    """A file, or a symbolic link, of a host with a card."""

    path: str
    content: bytes = b""
    mode: int = 0o644
    target: str | None = None


def names() -> list[str]:
    """The cards there are."""
    return sorted(path.stem for path in HERE.glob("*.yaml"))


def load(card: str) -> dict[str, Any]:
    """The data of a card, as its file has it."""
    if card not in names():
        raise LabError(f"card {card!r}: use one of {', '.join(names())}")
    data: dict[str, Any] = yaml.safe_load((HERE / f"{card}.yaml").read_text())
    return data


def files(card: str) -> list[CardFile]:
    """Everything that makes a blank host one with this card; init.sh puts it in place at boot."""
    data = load(card)
    parts = _below(f"{ROOT}/now", data)
    if data.get("nvidia_smi", True):
        parts.append(CardFile(f"{ROOT}/nvidia-smi", program(), 0o755))
        parts.append(CardFile(f"{ROOT}/libcuda.so.1", library()))
    if "driven" in data:
        # What the card becomes at the boot after a driver was installed.
        parts += _below(f"{ROOT}/driven", load(data["driven"]["as"]))
        modules = " ".join(data["driven"]["modules"])
        parts.append(CardFile(f"{ROOT}/driven/modules", f"{modules}\n".encode()))
    return parts


def program() -> bytes:
    """The stand-in of nvidia-smi, compiled."""
    return _compiled(PROGRAM, "-static")


def library() -> bytes:
    """The stand-in of libcuda.so.1, compiled."""
    return _compiled(CUDA, "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1")


def _compiled(source: Path, *options: str) -> bytes:
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    built = folder() / "cards" / f"{source.stem}-{digest}"
    with locked("cards"):
        if not built.exists():
            need("gcc")
            built.parent.mkdir(exist_ok=True)
            beside = built.with_suffix(".part")
            argv = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-s", *options]
            run([*argv, "-o", str(beside), str(source)], timeout=120)
            beside.replace(built)
    return built.read_bytes()


def _below(root: str, data: dict[str, Any]) -> list[CardFile]:
    parts = [*_proc(data), *_pci(data), *_recorded(data)]
    return [replace(part, path=f"{root}/{part.path}") for part in parts]


def _proc(data: dict[str, Any]) -> list[CardFile]:
    if "proc_version" not in data:
        return []
    found = [CardFile("proc/nvidia/version", data["proc_version"].encode())]
    for device in _gpus(data):
        text = f"Model: \t\t {device['name']}\nBus Location: \t {device['slot']}\n"
        path = f"proc/nvidia/gpus/{device['slot']}/information"
        found.append(CardFile(path, text.encode()))
    return found


def _gpus(data: dict[str, Any]) -> list[dict[str, str]]:
    return [device for device in data["pci"] if device.get("driver") == "nvidia"]


def _pci(data: dict[str, Any]) -> list[CardFile]:
    bridge = {"slot": "0000:00:00.0", "vendor": "8086", "device": "1237", "class": "060000"}
    return [part for device in (bridge, *data["pci"]) for part in _device(device)]


def _device(device: dict[str, str]) -> list[CardFile]:
    where = f"pci/{device['slot']}"
    vendor = device.get("vendor", "10de")
    driver = device.get("driver")
    uevent = [
        *([f"DRIVER={driver}"] if driver else []),
        f"PCI_CLASS={device['class'].lstrip('0').upper()}",
        f"PCI_ID={vendor}:{device['device']}".upper(),
    ]
    texts = {
        "vendor": f"0x{vendor}",
        "device": f"0x{device['device']}",
        "class": f"0x{device['class']}",
        "subsystem_vendor": f"0x{vendor}",
        "subsystem_device": "0x0000",
        "numa_node": "-1",
        "uevent": "\n".join(uevent),
    }
    parts = [CardFile(f"{where}/{name}", f"{text}\n".encode()) for name, text in texts.items()]
    if driver:
        parts.append(CardFile(f"{where}/driver", target=f"../../drivers/{driver}"))
    return parts


def _recorded(data: dict[str, Any]) -> list[CardFile]:
    smi = "smi"
    parts = [
        CardFile(f"{smi}/{name}", _answer(data[name]["status"], data[name]["text"]))
        for name in ("failure", "warning")
        if name in data
    ]
    if "query" in data:
        parts.append(CardFile(f"{smi}/query.csv", data["query"].encode()))
    for name, text in {**_details(data), **data.get("answers", {})}.items():
        parts.append(CardFile(f"{smi}/answers/{name}", _answer(0, text)))
    if "driver" in data:
        parts.append(CardFile(f"{smi}/driver", f"{data['driver']}\n".encode()))
    if "cuda" in data:
        parts.append(CardFile(f"{smi}/cuda", f"{data['cuda']}\n".encode()))
    return parts


def _details(data: dict[str, Any]) -> dict[str, str]:
    """`nvidia-smi -q -x`: a healthy report of every card in the query."""
    head, _, rows = data.get("query", "").partition("\n")
    fields = [name.partition(" [")[0] for name in head.split(", ")]
    return {"-q_-x": details_of_query(rows, fields)} if rows else {}


def _answer(status: int, text: str) -> bytes:
    return f"{status}\n{text}".encode()
