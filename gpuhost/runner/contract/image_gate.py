"""The driver requirement that CUDA images carry, and whether a host meets it.

The prestart hook checks it; CDI does not (NVIDIA Container Toolkit issue 1470).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import zip_longest

from gpuhost.runner.contract.result import LONGEST_SAID

CONDITION = re.compile(r"(cuda|driver|arch|brand)\s*(>=|<=|!=|==|=|>|<)\s*([\w.]+)", re.ASCII)
REQUIRE = "NVIDIA_REQUIRE_"
DISABLE = "NVIDIA_DISABLE_REQUIRE"
# strconv.ParseBool, which the hook uses.
TRUE_WORDS = frozenset({"1", "t", "T", "TRUE", "true", "True"})


class Gate(Enum):
    """What the hook would do with a container."""

    PASSES = "passes"
    REFUSES = "refuses"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class GateResult:
    """The answer, and the reason in words."""

    gate: Gate
    reason: str


@dataclass(frozen=True)
class Facts:
    """What conditions refer to; None: unknown.

    + driver: its version
    + cuda: the CUDA that the driver brings; "0": older than every CUDA that images ask for
    + brand: the card's, as libnvidia-container spells it
    + arch: the card's compute capability
    """

    driver: str | None
    cuda: str | None
    brand: str | None
    arch: str | None = None

    def get(self, name: str) -> str | None:
        value: str | None = getattr(self, name)
        return value


def requirement_gate(require: str, facts: Facts) -> GateResult:
    """Evaluate one NVIDIA_REQUIRE_* variable: spaces are OR, commas are AND.

    + require: such as "cuda>=12.1 brand=tesla,driver>=470,driver<471"

    An empty requirement passes; a condition that is not understood makes it unreadable, unless
    another alternative passes.
    """
    alternatives = ",".join(part.strip() for part in require.split(",")).split()
    unreadable = ""
    for alternative in alternatives:
        verdicts = [_holds(condition, facts) for condition in alternative.split(",") if condition]
        if all(verdicts):
            return GateResult(Gate.PASSES, f"the host meets {alternative[:LONGEST_SAID]}")
        if None in verdicts and False not in verdicts:
            unreadable = alternative
    if not alternatives:
        return GateResult(Gate.PASSES, "the image requires nothing")
    if unreadable:
        said = unreadable[:LONGEST_SAID]
        return GateResult(Gate.UNREADABLE, f"cannot evaluate the image's condition {said}")
    host = f"driver {facts.driver} (CUDA {facts.cuda}, brand {facts.brand})"
    said = " ".join(alternatives)[:LONGEST_SAID]
    return GateResult(Gate.REFUSES, f"{host} meets none of: {said}")


def environment_gate(environment: Iterable[str], facts: Facts) -> GateResult:
    """Evaluate an image's whole environment: all its NVIDIA_REQUIRE_* variables must pass.

    + environment: "NAME=value" strings, as in `docker image inspect -f '{{json .Config.Env}}'`; of
      a name that comes twice the later one counts
    """
    variables = dict(entry.partition("=")[::2] for entry in environment)
    if variables.get(DISABLE) in TRUE_WORDS:
        return GateResult(Gate.PASSES, f"{DISABLE} is set: nothing is checked")
    results = [
        requirement_gate(value, facts)
        for name, value in variables.items()
        if name.startswith(REQUIRE)
    ]
    for gate in (Gate.REFUSES, Gate.UNREADABLE):
        if refusal := next((result for result in results if result.gate is gate), None):
            return refusal
    return results[0] if results else GateResult(Gate.PASSES, "the image requires nothing")


def _holds(condition: str, facts: Facts) -> bool | None:
    """Whether a condition holds; None if the condition or the fact is unknown."""
    match = CONDITION.fullmatch(condition.strip())
    value = facts.get(match[1]) if match else None
    if match is None or value is None:
        return None
    name, operator, required = match.groups()
    if name == "brand":
        return {"=": value == required, "==": value == required, "!=": value != required}.get(
            operator
        )
    numbers, required_numbers = _numbers(value), _numbers(required)
    if numbers is None or required_numbers is None:
        return None
    return _compare(operator, numbers, required_numbers)


def _numbers(version: str) -> tuple[int, ...] | None:
    parts = version.split(".")
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        return None
    return tuple(int(part) for part in parts)


def _compare(operator: str, left: Sequence[int], right: Sequence[int]) -> bool:
    pairs = list(zip_longest(left, right, fillvalue=0))
    ours, theirs = tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)
    return {
        "=": ours == theirs,
        "==": ours == theirs,
        "!=": ours != theirs,
        ">=": ours >= theirs,
        "<=": ours <= theirs,
        ">": ours > theirs,
        "<": ours < theirs,
    }[operator]
