"""Sizes as people write them. GB means 1024**3 bytes here, as in `docker` and `free`."""

from __future__ import annotations

GB = 1 << 30
MB = 1 << 20


def gb(size: float) -> str:
    """1610612736 -> "1.5 GB"."""
    return f"{size / GB:.1f} GB"
