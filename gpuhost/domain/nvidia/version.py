"""Versions of the driver, of CUDA and of a card's compute capability, ordered by number."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

DRIVER = re.compile(r"\s*(\d{3,4})\.(\d{1,4})(?:\.(\d{1,4}))?\s*", re.ASCII)
CUDA = re.compile(r"\s*(\d{1,2})\.(\d{1,2})(?:\.(\d{1,4}))?\s*", re.ASCII)
CAPABILITY = re.compile(r"\s*(\d{1,2})\.(\d)\s*", re.ASCII)


@dataclass(frozen=True, order=True)
class CudaVersion:
    """A CUDA version: 12.2 is its first release, 12.2.1 and 12.2.2 are Update 1 and Update 2."""

    major: int
    minor: int
    patch: int = 0

    @classmethod
    def parse(cls, text: str) -> CudaVersion:
        """Raise ValueError when the text is not a CUDA version."""
        match = CUDA.fullmatch(text)
        if match is None:
            raise ValueError(f"not a CUDA version: {text!r}")
        major, minor, patch = match.groups(default="0")
        return cls(int(major), int(minor), int(patch))

    @property
    def release(self) -> CudaVersion:
        """The version without its update, which is all that a driver reports."""
        return CudaVersion(self.major, self.minor)

    def __str__(self) -> str:
        text = f"{self.major}.{self.minor}"
        return f"{text}.{self.patch}" if self.patch else text


@dataclass(frozen=True, order=True)
class DriverVersion:
    """A driver version such as 535.183.01; the first number is its branch.

    Two-part versions exist ("580.178", as NVML prints its own) and sort before any release that
    they abbreviate.

    + cuda: the CUDA that this driver reports on its host; None: nothing was asked, or it has none

    **Example:** ``DriverVersion.parse("535.183.01") > DriverVersion.parse("535.54.03")``
    """

    numbers: tuple[int, ...]
    text: str = field(compare=False)
    cuda: CudaVersion | None = field(default=None, compare=False)

    @classmethod
    def parse(cls, text: str) -> DriverVersion:
        """Raise ValueError when the text is not a driver version."""
        match = DRIVER.fullmatch(text)
        if match is None:
            raise ValueError(f"not a driver version: {text!r}")
        return cls(tuple(int(part) for part in match.groups() if part is not None), text.strip())

    @property
    def branch(self) -> int:
        return self.numbers[0]

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, order=True)
class ComputeCapability:
    """What a card's instruction set is: 8.9 for Ada; binaries run within one major number."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> ComputeCapability:
        """Raise ValueError when the text is not a compute capability."""
        match = CAPABILITY.fullmatch(text)
        if match is None:
            raise ValueError(f"not a compute capability: {text!r}")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"
