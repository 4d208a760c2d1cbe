"""The recorded outputs and tables of tests/fixtures/nvidia."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from gpuhost.domain.nvidia.cards import Card, card_named
from gpuhost.domain.nvidia.version import DriverVersion

FIXTURES = Path(__file__).parent.parent / "fixtures" / "nvidia"


def recordings(kind: str) -> list[Path]:
    return sorted((FIXTURES / kind).glob("*.txt"))


def recorded(path: Path) -> tuple[str, dict[str, Any]]:
    """The output, in which other bytes than UTF-8 are replaced, and the expected values."""
    text = path.read_bytes().decode("utf-8", errors="replace")
    return text, yaml.safe_load(path.with_suffix(".yaml").read_text(encoding="utf-8"))


def table(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load((FIXTURES / f"{name}.yaml").read_text(encoding="utf-8")))


def cards(models: list[str]) -> list[Card]:
    named = [card_named(model) for model in models]
    assert None not in named, models
    return [card for card in named if card]


def driver(text: str | None) -> DriverVersion | None:
    return DriverVersion.parse(text) if text else None
