"""Fixes that many findings name."""

from __future__ import annotations

AGAIN = "run the deploy again"
