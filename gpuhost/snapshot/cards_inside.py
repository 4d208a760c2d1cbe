"""Whether the running containers of apps can still use their cards: asked inside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from shlex import quote
from typing import Any

from gpuhost.domain import host_json
from gpuhost.runner.contract import APPS, CARDS_UNKNOWN
from gpuhost.snapshot.lenient import mapping, texts
from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

PROGRAM = files("gpuhost.runner.contract").joinpath("cards_inside.py").read_text(encoding="utf-8")
REQUEST = Request(
    probes=(
        ProbeCommand(
            "cards_inside",
            # It reads what docker_inspect and nvidia_smi have printed.
            f'python3 -I -S -c {quote(PROGRAM)} "$work"',
            seconds=30,
            only_if=f"[ -d {APPS} ] && [ -e /proc/driver/nvidia/version ]",
            last=True,
        ),
    ),
)


@dataclass(frozen=True)
class CardsInside:
    """Containers with cards, by id: has, lost, none, gone or unknown, and the evidence.

    runner/contract/cards_inside.py says what they mean.
    """

    by_id: Mapping[str, tuple[str, str]]

    @classmethod
    def read(cls, probes: Probes) -> CardsInside:
        """Empty, if the host has no app or its driver does not answer. Raises NotRead."""
        if "cards_inside" not in probes:
            return cls({})
        values = mapping(_parsed(probes.output("cards_inside")))
        return cls({id: _answer(value) for id, value in values.items()})


def _answer(value: object) -> tuple[str, str]:
    # An empty text is left out.
    words = texts(value)
    return (words[0], " ".join(words[1:])) if words else (CARDS_UNKNOWN, "no answer")


def _parsed(text: str) -> Any:
    try:
        return host_json.parse(text)
    except ValueError as error:
        raise NotRead(f"cards_inside: not valid JSON: {error}") from error
