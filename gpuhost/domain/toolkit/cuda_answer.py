"""What CUDA answered on a host or in a container: the output of remote/cuda_call.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gpuhost.domain import host_json

# Results of CUDA's driver API (CUresult in cuda.h).
RESULTS = {
    3: "not initialized",
    30: "unknown error",
    34: "stub library",
    35: "insufficient driver",
    36: "call requires a newer driver",
    46: "device unavailable",
    100: "no device",
    101: "invalid device",
    304: "operating system",
    800: "not permitted",
    801: "not supported",
    802: "system not ready",
    803: "system driver mismatch",
    804: "compat not supported on device",
    999: "unknown error",
}
NO_DEVICE, STUB, NOT_READY, MISMATCH, COMPAT = 100, 34, 802, 803, 804
UVM, CONTROL = "/dev/nvidia-uvm", "/dev/nvidiactl"


@dataclass(frozen=True)
class CudaAnswer:
    """One run of remote/cuda_call.py.

    + failure: why CUDA was not asked at all
    + load: the dynamic linker's message, if it could not load libcuda.so.1; library: the file
    + call, result: the call that failed, and its result; 0: none failed
    + version: the newest CUDA that the library knows, 12020 for 12.2
    + count, names, uuids: of the devices
    + visible: CUDA_VISIBLE_DEVICES; None: not set
    + given: NVIDIA_VISIBLE_DEVICES, "void" if the engine gave the cards by CDI; None: not set
    + nodes: device nodes that could not be opened after the failure, and why: "ENOENT"
    + uvm: nvidia_uvm was loaded after the failure; None: unknown
    """

    failure: str = ""
    load: str = ""
    library: str = ""
    call: str = ""
    result: int = 0
    version: int = 0
    count: int = 0
    names: tuple[str, ...] = ()
    uuids: tuple[str, ...] = ()
    visible: str | None = None
    given: str | None = None
    nodes: Mapping[str, str] = field(default_factory=dict)
    uvm: bool | None = None

    @property
    def starts(self) -> bool:
        """CUDA has at least one device to use."""
        return not (self.failure or self.load or self.result) and self.count > 0

    @property
    def words(self) -> str:
        """What it answered, for a person."""
        if self.failure or self.load:
            return self.failure or self.load
        if self.result:
            name = RESULTS.get(self.result, "an error that gpuhost does not know")
            closed = "".join(f"; {path}: {why}" for path, why in sorted(self.nodes.items()))
            return f"{self.call} = {self.result} ({name}){closed}"
        return f"{self.count} device(s): {', '.join(self.names)}"


def parse_answer(output: str) -> CudaAnswer:
    """The answer in an output; what is none of it is why CUDA was not asked. Never raises."""
    try:
        values = host_json.parse(output)
        numbers = {key: _number(values.get(key)) for key in ("result", "version", "count")}
    except (ValueError, AttributeError, TypeError, OverflowError):
        return CudaAnswer(failure=output.strip() or "it printed nothing")
    if not {"load", "result", "count"} & set(values):
        return CudaAnswer(failure=output.strip())
    nodes, uvm = values.get("nodes"), values.get("uvm")
    return CudaAnswer(
        load=str(values.get("load") or ""),
        library=str(values.get("library") or ""),
        call=str(values.get("call") or ""),
        result=numbers["result"],
        version=numbers["version"],
        count=numbers["count"],
        names=_texts(values.get("names")),
        uuids=_texts(values.get("uuids")),
        visible=_text(values.get("visible")),
        given=_text(values.get("given")),
        nodes={str(k): str(v) for k, v in nodes.items()} if isinstance(nodes, dict) else {},
        uvm=uvm if isinstance(uvm, bool) else None,
    )


def _number(value: object) -> int:
    return int(value) if isinstance(value, int) else 0


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()
