"""The Compose binaries. Without them these tests are skipped; with CI=true that is an error."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.lab import compose_binaries
from tests.lab.process import LabError


@pytest.fixture(scope="session")
def binaries() -> dict[str, Path]:
    """By Debian's release."""
    try:
        return compose_binaries.ensure()
    except LabError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
