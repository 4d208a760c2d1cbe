"""The machine on which the benchmark ran, in one line."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path


def machine() -> str:
    """ "2 cores of AMD EPYC, 24 GB, Debian GNU/Linux 12, Linux 6.1.0, Python 3.11.7"."""
    memory = int(_match(r"MemTotal:\s+(\d+)", "/proc/meminfo") or 0) // 1024**2
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    cpu = _match(r"model name\s*:\s*(.+)", "/proc/cpuinfo") or "a CPU"
    return (
        f"{os.cpu_count()} cores of {cpu}, "
        f"{memory + 1} GB, {system}, Linux {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def _match(pattern: str, file: str) -> str:
    match = re.search(pattern, Path(file).read_text(errors="replace"))
    return match[1].strip() if match else ""
