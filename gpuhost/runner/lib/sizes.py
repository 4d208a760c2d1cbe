"""Sizes in messages. GB means 1024**3 bytes, as in `docker` and `free`."""

from __future__ import annotations

GB = 1 << 30
MB = 1 << 20


def format_size(size: float) -> str:
    """1610612736 -> "1.5 GB", 536870912 -> "512 MB"."""
    megabytes = round(size / MB)
    return f"{megabytes} MB" if megabytes < GB // MB else f"{size / GB:.1f} GB"
