"""One run of nvidia-smi: does the driver work, and if not, why and what to do."""

from __future__ import annotations

import re

from gpuhost.domain.nvidia.driver_state import SENTENCES, Diagnosis, DriverState
from gpuhost.domain.nvidia.smi import clean, parse_header, parse_query

# Texts: NVIDIA's nvidia-smi(1) and reports in public issue trackers. The first that is found
# decides, before the exit code: several releases print these with 0 or 255.
HANDLE = r"Unable to determine the device handle"
TEXTS: tuple[tuple[re.Pattern[str], DriverState], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), state)
    for pattern, state in (
        (r"Driver/library version mismatch", DriverState.LIBRARY_MISMATCH),
        (r"couldn.?t communicate with the NVIDIA driver", DriverState.MODULE_NOT_LOADED),
        (r"Failed to initialize NVML: Driver Not Loaded", DriverState.MODULE_NOT_LOADED),
        (
            r"couldn.?t find libnvidia-ml|libnvidia-ml\.so[^\n]*(?:not found|cannot open)",
            DriverState.LIBRARY_MISSING,
        ),
        # What follows the card's name is NVML's own reason.
        (rf"{HANDLE}.*: *Insufficient External Power", DriverState.POWER_CABLE),
        (rf"{HANDLE}.*: *(?:Insufficient|No) Permission", DriverState.PERMISSION),
        (rf"{HANDLE}.*: *(?:Not Found|Not Supported)", DriverState.NO_DEVICES),
        (rf"{HANDLE}|GPU is lost|fallen off the bus", DriverState.OFF_THE_BUS),
        (r"No devices were found", DriverState.NO_DEVICES),
        (
            r"Failed to initialize NVML: (?:Insufficient Permissions|No Permission)",
            DriverState.PERMISSION,
        ),
        (
            r"Failed to initialize NVML: (?:Unknown Error|GPU access blocked)",
            DriverState.NO_DEVICE_ACCESS,
        ),
        (
            r"is not a valid field to query|Unknown field|is not recognized",
            DriverState.QUERY_REJECTED,
        ),
        (
            r"nvidia-smi\S*\s*(?:command not found|not found|未找到命令|No such file or directory)",
            DriverState.ABSENT,
        ),
        (r"nvidia-smi\S*\s*(?:Permission denied|权限不够)", DriverState.PERMISSION),
    )
)
# NVIDIA's nvidia-smi(1), "Return value"; 18 is NVML's "driver/library version mismatch"; 126 and
# 127 are the shell's; 124 and 137 are timeout(1)'s.
CODES = {
    2: DriverState.QUERY_REJECTED,
    3: DriverState.QUERY_REJECTED,
    4: DriverState.PERMISSION,
    6: DriverState.NO_DEVICES,
    8: DriverState.POWER_CABLE,
    9: DriverState.MODULE_NOT_LOADED,
    10: DriverState.INTERRUPT,
    12: DriverState.LIBRARY_MISSING,
    13: DriverState.QUERY_REJECTED,
    15: DriverState.OFF_THE_BUS,
    18: DriverState.LIBRARY_MISMATCH,
    124: DriverState.TIMED_OUT,
    126: DriverState.PERMISSION,
    127: DriverState.ABSENT,
    137: DriverState.TIMED_OUT,
}
INFOROM_CODE = 14
INFOROM_TEXT = re.compile(r"infoROM is corrupt", re.IGNORECASE)
# nvidia-smi loads libcuda.so.1 for this value: N/A if there is none, ERR! if it does not start.
LIBCUDA = re.compile(r"CUDA(?: UMD)? Version:\s*(N/A|ERR!)")
# Their header ends with the driver's version.
BEFORE_R410 = re.compile(r"Driver Version:\s*3\d\d\.\d+\s*\|", re.ASCII)
LISTED_GPU = re.compile(r"^GPU \d+: .+\(UUID: GPU-", re.MULTILINE | re.ASCII)


def classify(rc: int | None, output: str, *, timed_out: bool = False) -> Diagnosis:
    """Classify the state of the driver from one run of nvidia-smi.

    + rc: its exit code; None when there is none
    + output: standard output and standard error together, from a plain run, `-L` or a query
    + timed_out: whether it was stopped at its time limit

    Never raises: text that is not understood gives DriverState.UNKNOWN.

    **Example:** ``classify(6, "No devices were found").state`` is ``DriverState.NO_DEVICES``.
    """
    text = clean(output)
    if timed_out:
        return _diagnosis(DriverState.TIMED_OUT)
    for pattern, state in TEXTS:
        if match := pattern.search(text):
            return _diagnosis(state, _line_at(text, match.start()))
    if rc in (0, INFOROM_CODE) and _has_output(text):
        warning = INFOROM_TEXT.search(text)
        if warning or rc == INFOROM_CODE:
            return _diagnosis(
                DriverState.INFOROM_WARNING, _line_at(text, warning.start()) if warning else ""
            )
        return _diagnosis(DriverState.WORKING)
    state = CODES.get(rc, DriverState.UNKNOWN) if rc is not None else DriverState.UNKNOWN
    return _diagnosis(state, _first_line(text))


def libcuda_fault(output: str) -> str:
    """What a driver that answers prints for its CUDA version without one; "": it has one."""
    match = LIBCUDA.search(clean(output))
    return match[1] if match else ""


def _diagnosis(state: DriverState, evidence: str = "") -> Diagnosis:
    cause, action = SENTENCES[state]
    return Diagnosis(state, cause, action, evidence)


def _has_output(text: str) -> bool:
    header = parse_header(text)
    answers_for_cuda = header.cuda is not None or libcuda_fault(text) != ""
    answers_for_cuda = answers_for_cuda or BEFORE_R410.search(text) is not None
    complete = header.driver is not None and answers_for_cuda
    return complete or bool(parse_query(text)) or LISTED_GPU.search(text) is not None


def _line_at(text: str, position: int) -> str:
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    return text[start : end if end >= 0 else len(text)].strip()


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.split("\n") if line.strip()), "")
