"""What the stand-ins of the NVIDIA Container Toolkit know of the host's simulated card."""

import json
import re
import subprocess
from pathlib import Path

SMI = Path("/lab/card/smi")
PROGRAM = Path("/usr/bin/nvidia-smi")
# What a container gets, by the capability that it has to have.
CAPABILITIES = "compute,utility"
# By nvidia-smi's exit status: what nvidia-container-cli says in that state.
BROKEN = {
    6: "initialization error: nvml error: gpu not found",
    9: "initialization error: nvml error: driver not loaded",
    15: "detection error: nvml error: unknown error",
    18: "initialization error: nvml error: driver/library version mismatch",
}
NO_DRIVER = (
    "initialization error: load library failed: libnvidia-ml.so.1: "
    "cannot open shared object file: no such file or directory"
)


class CardError(Exception):
    """As nvidia-container-cli words it."""


def gpus() -> "list[dict[str, str]]":
    """The cards that answer: index, uuid, name, bus_id."""
    if not PROGRAM.exists():
        raise CardError(NO_DRIVER)
    fields = "index,uuid,name,pci.bus_id"
    argv = [str(PROGRAM), f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 14):
        raise CardError(BROKEN.get(done.returncode, done.stdout.strip()))
    rows = [line.split(", ") for line in done.stdout.splitlines() if line.count(", ") == 3]
    return [dict(zip(("index", "uuid", "name", "bus_id"), row, strict=True)) for row in rows]


def mounts(capabilities: str = CAPABILITIES) -> "list[str]":
    """The driver's files that a container gets."""
    names = capabilities.split(",")
    libraries = map(str, Path("/usr/lib").glob("*-linux-gnu/libcuda.so.1"))
    return [
        *([str(PROGRAM)] if {"utility", "all"} & {*names} else []),
        *(libraries if {"compute", "all"} & {*names} else []),
    ]


def chosen(visible: str) -> "list[dict[str, str]]":
    """The cards that NVIDIA_VISIBLE_DEVICES names."""
    there = gpus()
    if visible == "all":
        return there
    found = []
    for wanted in [] if visible == "none" else visible.split(","):
        fitting = [gpu for gpu in there if wanted in (gpu["index"], gpu["uuid"])]
        if not fitting:
            raise CardError(f"device error: {wanted}: unknown device")
        found += fitting
    return found


def recorded(visible: "list[dict[str, str]]") -> "dict[str, str]":
    """Recorded outputs with only these cards in them, by path under SMI."""
    files = {}
    for path in SMI.rglob("*"):
        if path.is_file():
            files[str(path.relative_to(SMI))] = path.read_text()
    uuids = [gpu["uuid"] for gpu in visible]
    for name in ("query.csv", "answers/-L"):
        head, *rows = files.get(name, "").splitlines(keepends=True) or [""]
        kept = [row for row in rows if any(uuid in row for uuid in uuids)]
        files[name] = "".join([head, *kept])
    return files


def check_requirements(environment: "dict[str, str]") -> None:
    """The gate of images: NVIDIA_REQUIRE_*, alternatives apart by space, conditions by comma."""
    if environment.get("NVIDIA_DISABLE_REQUIRE", "") in ("1", "true", "True"):
        return
    known = _facts()
    for name, expression in environment.items():
        if not name.startswith("NVIDIA_REQUIRE_") or not expression.strip():
            continue
        alternatives = expression.split()
        if not any(_holds(one, known) for one in alternatives):
            raise CardError(
                f"requirement error: unsatisfied condition: {alternatives[0].split(',')[-1]}, "
                "please update your driver to a newer version, or use an earlier cuda container"
            )


def write_json(path: Path, content: object, indent: "int | None" = None) -> None:
    """Replace a file at once."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_text(json.dumps(content, indent=indent, sort_keys=indent is not None))
    beside.replace(path)


def _facts() -> "dict[str, str]":
    names = " ".join(gpu["name"] for gpu in gpus())
    brand = "geforce" if "GeForce" in names else "tesla" if "Tesla" in names else "nvidia"
    facts = {"brand": brand}
    for name in ("driver", "cuda"):
        if (SMI / name).exists():
            facts[name] = (SMI / name).read_text().strip()
    return facts


def _holds(alternative: str, known: "dict[str, str]") -> bool:
    return all(_compare(condition, known) for condition in alternative.split(","))


def _compare(condition: str, known: "dict[str, str]") -> bool:
    parts = re.fullmatch(r"(\w+)(>=|<=|!=|=|<|>)(.+)", condition)
    if parts is None or parts[1] not in known:
        return False
    have, want = known[parts[1]], parts[3]
    if parts[1] == "brand":
        return (have == want) == (parts[2] == "=")
    left, right = _version(have), _version(want)
    return {
        ">=": left >= right,
        "<=": left <= right,
        "<": left < right,
        ">": left > right,
        "=": left == right,
        "!=": left != right,
    }[parts[2]]


def _version(text: str) -> "tuple[int, ...]":
    return tuple(int(part) for part in re.findall(r"\d+", text))
