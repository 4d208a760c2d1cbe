"""Simulated cards: recorded outputs of nvidia-smi, and what a driver shows in /proc and /sys."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CardFile:
    """A file of a host with a card."""

    path: str
    content: bytes
    mode: int = 0o644


def files(card: str) -> list[CardFile]:
    """Everything that makes a blank host one with this card."""
    return []


def names() -> list[str]:
    """The cards there are."""
    return ["p40"]
