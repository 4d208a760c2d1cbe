"""The images that a Dockerfile needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.runner.building import dockerfile

CASES = yaml.safe_load(Path(__file__).with_name("dockerfiles.yaml").read_text("utf-8"))
PIECES = st.sampled_from(
    ["FROM ", "ARG A", "=", "\n", "\\\n", "${", "}", "<<E", "E\n", "RUN ", "#", "`", '"', "a:1 "]
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_images(case: dict[str, Any]) -> None:
    read = dockerfile.read(case["text"], case.get("args", {}))
    assert list(read.images(case.get("target", ""))) == case["images"]


@given(st.lists(PIECES, max_size=30).map("".join), st.text(max_size=80))
def test_any_text_can_be_read(pieces: str, text: str) -> None:
    for each in (pieces, text):
        read = dockerfile.read(each, {"A": "b"})
        assert len(read.images()) <= 4 * len(each)
