"""The Compose binaries are those of tests/compose."""

from tests.compose.conftest import binaries

__all__ = ["binaries"]
