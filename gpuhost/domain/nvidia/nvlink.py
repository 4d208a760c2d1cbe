"""NVLinks of cards: `nvidia-smi nvlink -s`."""

from __future__ import annotations

import re

_CARD = re.compile(r"GPU (\d{1,4}): ", re.ASCII)
_ACTIVE = re.compile(r"\s+Link \d+: \d", re.ASCII)


def active_links(text: str) -> dict[int, int]:
    """How many links each card uses, by its index; without cards in MIG mode, which do not say."""
    links: dict[int, int] = {}
    card = -1
    for line in text.splitlines():
        if match := _CARD.match(line):
            card = int(match[1])
            links[card] = 0
        elif "MIG mode" in line:
            links.pop(card, None)
        elif _ACTIVE.match(line) and card in links:
            links[card] += 1
    return links


def fewer_links(text: str) -> dict[int, tuple[int, int]]:
    """Cards with fewer links than the others of the host: how many they use, and the others.

    How many there should be differs: A800 and H800 have fewer than A100 and H100.
    """
    links = active_links(text)
    most = max(links.values(), default=0)
    return {card: (count, most) for card, count in links.items() if count < most}
