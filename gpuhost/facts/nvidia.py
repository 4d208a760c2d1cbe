"""NVIDIA cards, as a pyinfra fact."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError
from typing_extensions import override

from gpuhost.domain.nvidia.smi import QUERIES, Gpu, parse_query

# Without persistence mode eight cards take tens of seconds to answer.
SECONDS = 60
# nvidia-smi's exit status if a card's infoROM is corrupt; the output is still valid.
INFOROM_WARNING = 14


class Gpus(FactBase[list[dict[str, Any]]]):
    """
    The cards that nvidia-smi lists, in its order: name, driver, memory (MiB), compute capability,
    temperature (degrees Celsius), power (W), modes. None where a card has no such value; `bad` has
    those that could not be read, "memory.total: [GPU requires reset]". An empty list if nvidia-smi
    is not installed; a driver that does not work fails the fact, with what nvidia-smi says. Fields:
    ``nvidia-smi --help-query-gpu``.

    **Example:**

    .. code:: python

        from gpuhost.facts.nvidia import Gpus

        # [{"index": 0, "name": "Tesla P40", "driver": "535.183.01", "memory_total_mib": 23040,
        #   "compute_capability": "6.1", "architecture": "Pascal", ...}]
        host.get_fact(Gpus)

    or ``pyinfra HOST fact gpuhost.facts.nvidia.Gpus``
    """

    @override
    def command(self) -> str:
        # An old nvidia-smi refuses the whole query if it does not know one field.
        return " || ".join(_query(fields) for fields in QUERIES)

    @override
    def requires_command(self) -> str:
        return "nvidia-smi"

    @staticmethod
    @override
    def default() -> list[dict[str, Any]]:
        return []

    @override
    def process(self, output: list[str]) -> list[dict[str, Any]]:
        gpus = parse_query("\n".join(output))
        lines = [line.strip() for line in output if line.strip()]
        if not gpus and lines:
            raise FactProcessError(f"nvidia-smi printed no card: {lines[-1]}")
        return [_plain(gpu) for gpu in gpus]


def _query(fields: tuple[str, ...]) -> str:
    return (
        f"LC_ALL=C timeout -k 1 {SECONDS} nvidia-smi --query-gpu={','.join(fields)} "
        f"--format=csv,noheader,nounits || [ $? -eq {INFOROM_WARNING} ]"
    )


def _plain(gpu: Gpu) -> dict[str, Any]:
    """As JSON can hold it."""
    architecture = gpu.card.architecture.name if gpu.card else None
    plain = {
        "driver": str(gpu.driver),
        "bad": list(map(str, gpu.bad)),
        "architecture": architecture,
    }
    return {**asdict(gpu), **plain}
