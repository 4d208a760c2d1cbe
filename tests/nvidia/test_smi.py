"""Recorded outputs of nvidia-smi: the values that are read, and the state of the driver."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.domain.nvidia.driver_diagnosis import classify
from gpuhost.domain.nvidia.driver_state import SENTENCES, DriverState
from gpuhost.domain.nvidia.smi import QUERIES, Gpu, parse_header, parse_kernel_module, parse_query
from tests.nvidia.fixtures import recorded, recordings

OUTPUTS = recordings("smi")
MODULES = recordings("proc")


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _fields(gpu: Gpu) -> dict[str, Any]:
    fields = asdict(gpu) | {"driver": str(gpu.driver), "card": _text(gpu.card)}
    fields.pop("uuid")
    fields["bad"] = [str(bad) for bad in gpu.bad]
    if not gpu.bad:
        fields.pop("bad")
    return fields


@pytest.mark.parametrize("path", OUTPUTS, ids=lambda path: path.stem)
def test_output_of_nvidia_smi(path: Path) -> None:
    text, expected = recorded(path)
    diagnosis = classify(expected["rc"], text, timed_out=expected.get("timed_out", False))
    header = parse_header(text)
    assert diagnosis.state.name == expected["state"]
    assert diagnosis.evidence == expected.get("evidence", "")
    assert diagnosis.cause and diagnosis.action
    assert [_text(header.driver), _text(header.cuda)] == expected["header"]
    assert [_fields(gpu) for gpu in parse_query(text)] == expected["gpus"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_version_of_the_kernel_module(path: Path) -> None:
    text, expected = recorded(path)
    module = parse_kernel_module(text)
    assert _text(module.version if module else None) == expected["version"]
    assert (module.is_open if module else None) == expected["open"]


def test_number_of_recordings_and_one_for_each_state() -> None:
    states = {recorded(path)[1]["state"] for path in OUTPUTS}
    assert len(OUTPUTS) == 66
    assert len(MODULES) == 8
    assert states == {state.name for state in DriverState}
    assert set(SENTENCES) == set(DriverState)


def test_working_states() -> None:
    working = {state for state in DriverState if state.works}
    assert working == {DriverState.WORKING, DriverState.INFOROM_WARNING}


def test_the_second_query_omits_the_compute_capability() -> None:
    first, second = QUERIES
    assert set(first) - set(second) == {"compute_cap"}
    assert (len(first), len(second)) == (14, 13)


MUTATIONS = st.builds(
    lambda path, start, end, junk, repeat: (
        recorded(path)[0][:start] + junk + recorded(path)[0][end:] * repeat
    ),
    st.sampled_from(OUTPUTS + MODULES),
    st.integers(0, 400),
    st.integers(0, 400),
    st.text(max_size=20),
    st.integers(0, 2),
)


@given(st.one_of(st.text(), MUTATIONS), st.one_of(st.none(), st.integers(-10, 300)), st.booleans())
def test_no_text_makes_a_parser_raise(text: str, rc: int | None, timed_out: bool) -> None:
    diagnosis = classify(rc, text, timed_out=timed_out)
    if diagnosis.state is DriverState.WORKING:
        assert rc == 0 and not timed_out
    assert all(0 <= gpu.index < 10_000 and gpu.bus_id for gpu in parse_query(text))
    assert all(isinstance(gpu.card, object) for gpu in parse_query(text))
    driver = parse_header(text).driver
    assert driver is None or driver.branch >= 100
    module = parse_kernel_module(text)
    assert module is None or module.version.branch >= 100


@given(st.binary(max_size=300))
def test_no_bytes_make_a_parser_raise(data: bytes) -> None:
    text = data.decode("utf-8", errors="replace")
    assert classify(1, text).state not in (DriverState.WORKING, DriverState.INFOROM_WARNING)
    assert parse_query(text) == ()
