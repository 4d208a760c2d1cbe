"""The images that a Dockerfile needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.runner.building import dockerfile
from gpuhost.runner.building.substitution import TooLarge
from tests.cpu_budget import cpu_budget

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


SIZE = dockerfile.LARGEST - 100
# As large as a Dockerfile may be: a time that grows with the square of the size is hours.
LARGE = {
    "arguments": "".join(f"ARG A{n}=1\n" for n in range(20_000)) + "FROM x\n",
    "one long argument": ("ARG " + "a" * 65_000 + "\n") * 4 + "FROM x\n",
    "one argument of many lines": "ARG " + "\\\n".join(["a" * 1000] * 250) + "\nFROM x\n",
    "heredocs": "FROM x\nRUN " + " ".join(f"<<E{n}" for n in range(4000)) + "\ny" * 110_000,
    "open heredocs": "FROM x\n" + "RUN <<E\n" * 32_000,
    "mounts in one word": "FROM x\nRUN " + "--mount=" * (SIZE // 8),
    "mounts": "FROM x\nRUN " + "--mount= " * (SIZE // 9),
    "copies from one stage": "FROM x\n" + "COPY --from=x b c\n" * (SIZE // 18),
    "stages": "FROM x AS a\n" + "FROM a AS a\nCOPY --from=a b c\n" * (SIZE // 30),
    "blanks in a directive": "# a=x" + " " * SIZE + "y\nFROM x",
    "quotes": "FROM x\nRUN " + "\"'" * (SIZE // 2),
    "escaped quotes": "FROM x\nRUN " + "\\\"'" * (SIZE // 3),
    "quoted arguments": ('ARG A="' + "a" * 65_000 + '"\n') * 4 + "FROM x\n",
    "escapes in arguments": ("ARG " + "\\a" * 4000 + "\n") * 30 + "FROM x\n",
    "deep defaults": ("ARG A=" + "${A:-" * 45 + "x" * 7500 + "\n") * 30 + "FROM x\n",
    "continuations": "FROM x\n" + "RUN \\\n" * (SIZE // 6),
}
TOO_LARGE = {
    "doubling": "ARG A0=xxxxxxxxxx\n"
    + "".join(f"ARG A{n + 1}=$A{n}$A{n}\n" for n in range(40))
    + "FROM scratch\n",
    "copies of a value": f"ARG A={'x' * 4000}\n"
    + "".join(f"ARG B{n}=$A\n" for n in range(20_000))
    + "FROM x\n",
    "images": f"ARG A={'x' * 4000}\n" + "FROM $A\n" * 30_000,
    "a long FROM": "FROM " + "${A:-" * 45 + "x" * 20_000 + "\n",
    "a large file": "FROM x\n" + "RUN y\n" * 50_000,
    "defaults inside defaults": "FROM " + "${A:-" * 10_000 + "\n",
}


@pytest.mark.parametrize("text", LARGE.values(), ids=LARGE)
def test_the_time_for_a_dockerfile_is_not_the_square_of_its_size(text: str) -> None:
    with cpu_budget():
        assert dockerfile.read(text, {}).images() == ("x",)


@pytest.mark.parametrize("text", TOO_LARGE.values(), ids=TOO_LARGE)
def test_values_that_become_too_large_are_refused(text: str) -> None:
    with cpu_budget(), pytest.raises(TooLarge):
        dockerfile.read(text, {})


@pytest.mark.parametrize("name", ["9" * 5000, "\u00b2", "\u0660"])
def test_a_number_that_is_no_stage_is_a_name(name: str) -> None:
    read = dockerfile.read(f"FROM a:1\nFROM b:1\nCOPY --from={name} x y\n", {})
    assert read.images() == ("b:1", name)
