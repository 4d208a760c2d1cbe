"""CUDA's answers: the program that asks, a stand-in of its library, and the causes of failures."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.domain.toolkit.cuda_answer import CudaAnswer, parse_answer
from gpuhost.domain.toolkit.cuda_causes import CudaConditions, cuda_cause
from tests.lab.cards import CUDA
from tests.lab.process import need
from tests.toolkit.test_proof import ONLY_PRINTS

PROGRAM = files("gpuhost.remote").joinpath("cuda_call.py").read_text("utf-8")
FIXTURES = Path(__file__).parents[1] / "fixtures" / "toolkit"
CASES: list[dict[str, Any]] = yaml.safe_load((FIXTURES / "cuda.yaml").read_text("utf-8"))
CARDS = """0
GPU 0: Tesla P40 (UUID: GPU-b7b23dc6-5fc9-42f4-925c-f99621e9ad17)
GPU 1: NVIDIA H200 (UUID: GPU-08c19d72-46c8-40e5-a187-7895c417339a)
"""


@pytest.fixture(scope="module")
def smi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A host's libcuda.so.1, and the directory with what it answers."""
    home = tmp_path_factory.mktemp("cuda") / "smi"
    (home / "answers").mkdir(parents=True)
    (home / "answers" / "-L").write_text(CARDS)
    (home / "cuda").write_text("12.2\n")
    define, output = f'-DSMI="{home}"', str(home.parent / "libcuda.so.1")
    need("gcc")
    subprocess.run(["gcc", "-shared", "-fPIC", define, "-o", output, str(CUDA)], check=True)
    return home


def ask(folder: Path, **environment: str) -> CudaAnswer:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LD_LIBRARY_PATH": str(folder), **environment},
    )
    return parse_answer(done.stdout)


def test_every_device_of_a_library_that_works(smi: Path) -> None:
    answer = ask(smi.parent, NVIDIA_VISIBLE_DEVICES="void")
    assert answer.starts
    assert (answer.count, answer.version, answer.given) == (2, 12020, "void")
    assert answer.names == ("Tesla P40", "NVIDIA H200")
    assert answer.uuids[1] == "GPU-08c19d72-46c8-40e5-a187-7895c417339a"
    assert answer.library == f"{smi.parent}/libcuda.so.1"


def test_the_first_call_that_fails_ends_it(smi: Path) -> None:
    (smi / "cu_init").write_text("802\n")
    try:
        answer = ask(smi.parent)
    finally:
        (smi / "cu_init").unlink()
    assert (answer.call, answer.result, answer.starts) == ("cuInit", 802, False)
    assert answer.words.startswith("cuInit = 802 (system not ready)")


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "cannot open shared object file"), (b"", "file too short"), (b"x" * 999, "ELF")],
    ids=["missing", "empty", "text"],
)
def test_a_library_that_cannot_be_loaded(tmp_path: Path, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / "libcuda.so.1").write_bytes(content)
    answer = ask(tmp_path)
    assert says in answer.load
    assert not answer.starts


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_cause_of_an_answer(case: dict[str, Any]) -> None:
    answer = parse_answer(case.get("output") or json.dumps(case["answer"]))
    assert not answer.starts
    known = cuda_cause(answer, CudaConditions(**case.get("known", {})))
    assert re.search(case["cause"], known.cause), known
    assert re.search(case.get("fix", ""), known.fix), known
    assert not re.search(ONLY_PRINTS, known.fix)
    assert "reboot" not in known.fix, "nvidia-smi works: a reboot changes nothing"


@given(st.text() | st.recursive(st.none() | st.text() | st.floats(), st.lists).map(json.dumps))
def test_any_output_is_an_answer_without_a_device(output: str) -> None:
    assert not parse_answer(output).starts


@given(
    st.dictionaries(
        st.sampled_from(["load", "result", "count", "names", "nodes", "uvm", "visible", "given"]),
        st.none() | st.text() | st.integers() | st.lists(st.text()) | st.booleans(),
    ).map(json.dumps)
)
def test_any_values_never_raise(output: str) -> None:
    answer = parse_answer(output)
    assert cuda_cause(answer, CudaConditions(in_container=True)).fix
    assert answer.words
