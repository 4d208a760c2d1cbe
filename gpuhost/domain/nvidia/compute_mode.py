"""The compute mode of each card, from the table that a plain nvidia-smi prints."""

from __future__ import annotations

import re

PROHIBITED = "Prohibited"
# The end of a card's second line: utilisation, compute mode.
MODE = re.compile(r"\|\s*(?:\d+%|N/A|ERR!)\s+(Default|E\. Process|E\. Thread|Prohibited)\s*\|\s*$")


def compute_modes(table: str) -> tuple[str, ...]:
    """In the order of the cards; empty if the text is not such a table."""
    matches = (MODE.search(line) for line in table.splitlines())
    return tuple(match[1] for match in matches if match)
