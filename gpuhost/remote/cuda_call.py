"""Calls CUDA's driver library, and prints what it answered as JSON, one line.

Sent to the host, where it runs on the host and in a container: standard library only, Python 3.9.
It makes no CUDA context, so it needs no memory of a card.
"""

import ctypes
import errno
import json
import os
from pathlib import Path
from typing import Any

LIBRARY = "libcuda.so.1"
NODES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/nvidia-uvm")
NAME_BYTES = 256
MOST = 64


class CudaError(Exception):
    """The call that failed, and its result."""


def ask() -> "dict[str, Any]":
    """What there is, and what failed first. Its keys are read by domain/nvidia/cuda_answer.py."""
    answer: dict[str, Any] = {
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "given": os.environ.get("NVIDIA_VISIBLE_DEVICES"),
    }
    try:
        cuda = ctypes.CDLL(LIBRARY)
    except OSError as error:
        return {**answer, "load": str(error)}
    answer["library"] = loaded_from()
    version, count = ctypes.c_int(), ctypes.c_int()
    try:
        call(cuda, "cuDriverGetVersion", ctypes.byref(version))
        answer["version"] = version.value
        call(cuda, "cuInit", 0)
        call(cuda, "cuDeviceGetCount", ctypes.byref(count))
        answer["count"] = count.value
        devices = [device(cuda, index) for index in range(min(count.value, MOST))]
        answer["names"] = [name for name, _ in devices]
        answer["uuids"] = [uuid for _, uuid in devices if uuid]
    except CudaError as error:
        name, result = error.args
        answer.update(call=name, result=result, nodes=closed_nodes(), uvm=uvm_is_loaded())
    except AttributeError as error:
        answer["load"] = str(error)
    return answer


def call(cuda: ctypes.CDLL, name: str, *arguments: Any) -> None:
    result = getattr(cuda, name)(*arguments)
    if result:
        raise CudaError(name, result)


def device(cuda: ctypes.CDLL, index: int) -> "tuple[str, str]":
    """Its name, and its UUID; that is "" with a library that cannot say it."""
    handle, name = ctypes.c_int(), ctypes.create_string_buffer(NAME_BYTES)
    call(cuda, "cuDeviceGet", ctypes.byref(handle), index)
    call(cuda, "cuDeviceGetName", name, NAME_BYTES, handle)
    uuid = (ctypes.c_ubyte * 16)()
    if not hasattr(cuda, "cuDeviceGetUuid") or cuda.cuDeviceGetUuid(uuid, handle):
        return name.value.decode(errors="replace"), ""
    text = bytes(uuid).hex()
    parts = (text[:8], text[8:12], text[12:16], text[16:20], text[20:])
    return name.value.decode(errors="replace"), f"GPU-{'-'.join(parts)}"


def loaded_from() -> str:
    """The file that the dynamic linker chose."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = line.partition("/")[2]
        if path.rpartition("/")[2].startswith("libcuda.so"):
            return f"/{path}"
    return ""


def closed_nodes() -> "dict[str, str]":
    """Device nodes that cannot be opened, and why: ENOENT, EPERM."""
    closed = {}
    for path in NODES:
        try:
            os.close(os.open(path, os.O_RDWR))
        except OSError as error:
            closed[path] = errno.errorcode.get(error.errno or 0, str(error))
    return closed


def uvm_is_loaded() -> "bool | None":
    try:
        modules = Path("/proc/modules").read_text()
    except OSError:
        return None
    return any(line.startswith("nvidia_uvm ") for line in modules.splitlines())


if __name__ == "__main__":
    print(json.dumps(ask()))
