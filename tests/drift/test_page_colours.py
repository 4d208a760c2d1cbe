"""The page's colours: readable, and distinguishable with colour blindness."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import pytest

STYLE = Path(__file__).parents[2] / "templates" / "report" / "style.css"
# The fills of cells; ok and skip are the background.
FILLS = ("drift", "pending", "never-applied", "warn", "unknown", "accepted", "ok")
# Matrices for missing cones (Machado and others, 2009).
EYES = {
    "all cones": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no red": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "no green": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "no blue": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
Colour = tuple[float, float, float]


def colours(scheme: str) -> dict[str, Colour]:
    """The variables of light or dark, as linear light."""
    light, dark = re.findall(r":root \{(.*?)\}", STYLE.read_text("utf-8"), re.DOTALL)[:2]
    found = dict(re.findall(r"--([\w-]+): #(\w+);", dark if scheme == "dark" else light))
    return {name: linear(value) for name, value in found.items()}


def linear(text: str) -> Colour:
    digits = text if len(text) == 6 else "".join(one * 2 for one in text)
    r, g, b = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
    return (_light(r), _light(g), _light(b))


def _light(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def contrast(one: Colour, other: Colour) -> float:
    """The contrast ratio of WCAG 2."""
    dark, bright = sorted(0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (one, other))
    return (bright + 0.05) / (dark + 0.05)


def seen(colour: Colour, eye: str) -> Colour:
    r, g, b = (
        max(0.0, sum(part * light for part, light in zip(row, colour, strict=True)))
        for row in EYES[eye]
    )
    return (r, g, b)


def oklab(colour: Colour) -> Colour:
    r, g, b = colour
    l = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)  # noqa: E741
    m = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    s = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
        1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
        0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s,
    )


def distance(one: Colour, other: Colour) -> float:
    pairs = zip(oklab(one), oklab(other), strict=True)
    return float(sum((a - b) ** 2 for a, b in pairs) ** 0.5)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(scheme: str) -> None:
    found = colours(scheme)
    pairs = [(f"on-{fill}", fill) for fill in FILLS]
    pairs += [
        (ink, ground) for ink in ("ink", "soft", "link", "star") for ground in ("page", "card")
    ]
    pairs += [("ink", "code")]
    poor = {pair: contrast(found[pair[0]], found[pair[1]]) for pair in pairs}
    assert not {pair: ratio for pair, ratio in poor.items() if ratio < 4.5}


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_fills_are_distinguishable(scheme: str, eye: str) -> None:
    found = {name: seen(colour, eye) for name, colour in colours(scheme).items()}
    distances = {pair: distance(found[pair[0]], found[pair[1]]) for pair in combinations(FILLS, 2)}
    # A distance of 0.02 is just visible side by side.
    assert not {pair: value for pair, value in distances.items() if value < 0.08}
