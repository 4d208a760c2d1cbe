"""The runner as a unit starts it, and as a power cut ends it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gpuhost.runner import __main__ as entry


class Cut(BaseException):
    """The runner is killed."""


def run_runner(monkeypatch: pytest.MonkeyPatch, home: Path, verb: str, *words: str) -> int:
    """Its exit status. + home: of the app"""
    monkeypatch.setattr(sys, "argv", ["runner.pyz", verb, str(home), *words])
    return entry.main()
