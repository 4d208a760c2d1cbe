"""Sizes as people read them."""

from __future__ import annotations

import pytest

from gpuhost.domain.sizes import GB, MB, format_size


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 MB"),
        (400 * 1024, "0 MB"),
        (512 * MB, "512 MB"),
        (1023 * MB, "1023 MB"),
        # A swap file of 1 GB has a page less.
        (GB - 4096, "1.0 GB"),
        (GB, "1.0 GB"),
        (1.5 * GB, "1.5 GB"),
        (16 * GB, "16.0 GB"),
    ],
)
def test_under_a_gigabyte_they_are_in_megabytes(size: float, text: str) -> None:
    assert format_size(size) == text
