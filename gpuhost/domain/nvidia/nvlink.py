"""NVLinks of cards: `nvidia-smi nvlink -s`."""

from __future__ import annotations

import re

_CARD = re.compile(r"GPU (\d{1,4}): (.*?)(?: \(UUID|$)", re.ASCII)
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
    """Cards with fewer links than others of the same name: how many they use, and the others.

    How many there should be differs: A800 and H800 have fewer than A100 and H100, the display card
    of a DGX Station has none.
    """
    links = active_links(text)
    matches = (_CARD.match(line) for line in text.splitlines())
    names = {int(match[1]): match[2] for match in matches if match}
    most: dict[str, int] = {}
    for card, count in links.items():
        most[names[card]] = max(most.get(names[card], 0), count)
    return {
        card: (count, most[names[card]])
        for card, count in links.items()
        if count < most[names[card]]
    }
