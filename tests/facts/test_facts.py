"""Facts as data, tests/facts/MODULE.FACT/*.yaml, and their errors for invalid output."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError
from pyinfra_testing.facts import make_fact_tests

from gpuhost.facts.docker import Engine
from gpuhost.facts.nvidia import Gpus
from gpuhost.facts.swap import Swap

HERE = Path(__file__).parent
FACTS: tuple[type[FactBase[Any]], ...] = (Engine, Gpus, Swap)

TestEngine = make_fact_tests("gpuhost.facts", "docker.Engine", HERE / "docker.Engine")
TestGpus = make_fact_tests("gpuhost.facts", "nvidia.Gpus", HERE / "nvidia.Gpus")
TestSwap = make_fact_tests("gpuhost.facts", "swap.Swap", HERE / "swap.Swap")


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.name)
@given(output=st.lists(st.text(), min_size=1, max_size=5))
def test_nonsense_is_a_fact_process_error(fact: type[FactBase[Any]], output: list[str]) -> None:
    with suppress(FactProcessError):
        value = fact().process(output)
        assert json.loads(json.dumps(value)) == value, "plain data, as the command line prints it"


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.name)
def test_truncated_output_is_a_fact_process_error_or_less(fact: type[FactBase[Any]]) -> None:
    module = fact.__module__.rpartition(".")[2]
    files = list((HERE / f"{module}.{fact.__name__}").glob("*.yaml"))
    assert files
    for file in files:
        output = yaml.safe_load(file.read_text())["output"]
        for end in range(1, len(output), 7):
            with suppress(FactProcessError):
                value = fact().process(output[:end].splitlines())
                assert json.loads(json.dumps(value)) == value


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.name)
def test_commands_are_posix_sh(fact: type[FactBase[Any]]) -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run(
        [shellcheck, "--shell=sh", "-"], input=fact().command(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert "timeout" in fact().command()


def _nvidia_smi(directory: Path, script: str) -> subprocess.CompletedProcess[str]:
    stand_in = directory / "nvidia-smi"
    stand_in.write_text(f"#!/bin/sh\n{script}\n")
    stand_in.chmod(0o755)
    command = f"PATH={shlex.quote(str(directory))}:$PATH; {Gpus().command()}"
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=30)


ROW = "0, GPU-00000001-1f2e-3d4c-5b6a-79880a1b2c3d, Tesla P40, 418.226.00, 22919, 0"
TAIL = "[N/A], Enabled, Enabled, 00000000:3B:00.0, 24, 0, 9.90"


@pytest.mark.parametrize(
    ("script", "status", "capability"),
    [
        # Before R510 the first query is rejected, on stdout, and the second one is run.
        (
            'case $1 in *compute_cap*) echo "Field \\"compute_cap\\" is not a valid field to '
            f'query."; exit 2;; esac; echo "{ROW}, {TAIL}"',
            0,
            None,
        ),
        (f'echo "{ROW}, 6.1, {TAIL}"; exit 14', 0, "6.1"),
    ],
)
def test_the_command_of_gpus(
    tmp_path: Path, script: str, status: int, capability: str | None
) -> None:
    done = _nvidia_smi(tmp_path, script)
    assert done.returncode == status
    (gpu,) = Gpus().process(done.stdout.splitlines())
    assert gpu["compute_capability"] == capability


def test_a_broken_driver_fails_the_fact(tmp_path: Path) -> None:
    error = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
    done = _nvidia_smi(tmp_path, f'echo "{error}"; exit 9')
    assert done.returncode != 0
    with pytest.raises(FactProcessError, match="couldn't communicate"):
        Gpus().process([error])


@pytest.mark.slow
def test_from_the_command_line(tmp_path: Path) -> None:
    """`pyinfra HOST fact …`, on this machine, with any hardware."""
    pyinfra = Path(sys.executable).with_name("pyinfra")
    names = ["gpuhost.facts.swap.Swap", "gpuhost.facts.nvidia.Gpus", "gpuhost.facts.docker.Engine"]
    done = subprocess.run(
        [pyinfra, "@local", "fact", *names, "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert list(facts) == names
    assert facts["gpuhost.facts.swap.Swap"]["@local"]["total"] >= 0
    assert isinstance(facts["gpuhost.facts.nvidia.Gpus"]["@local"], list)
