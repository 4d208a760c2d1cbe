"""Metrics, parsed by the client of Prometheus."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gpuhost.drift.difference import KINDS
from gpuhost.drift.files import write_problem
from gpuhost.drift.report import DriftReport
from gpuhost.outputs.metrics import text, write
from tests.drift.reports import AT, host, report, unreachable

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
ODD = 'gpu "1"\\\n{x}="y"é'


def samples(run: DriftReport) -> Samples:
    families = text_string_to_metric_families(text(run, 12.5))
    found = [sample for family in families for sample in family.samples]
    by_label = {(one.name, frozenset(one.labels.items())): one.value for one in found}
    assert len(by_label) == len(found)
    assert all(name.startswith("gpuhost_drift_") for name, _ in by_label)
    return by_label


def value(found: Samples, name: str, **labels: str) -> float:
    return found[f"gpuhost_drift_{name}", frozenset(labels.items())]


def test_every_host_has_one_status() -> None:
    found = samples(report(host("gpu1", swap_size="drift"), unreachable("gpu2")))
    for name, status in (("gpu1", "drift"), ("gpu2", "unreachable")):
        by_status = {
            one: value(found, "host_status", host=name, status=one)
            for one in ("unreachable", "error", "drift", "pending", "ok")
        }
        assert by_status.pop(status) == 1
        assert set(by_status.values()) == {0}


def test_findings_by_kind() -> None:
    run = report(
        host("gpu1", a_a="drift", a_b="drift", a_c="warn", a_d="accepted", a_e="ok", a_f="skip"),
        unreachable("gpu2"),
    )
    found = samples(run)
    counts = {kind: value(found, "host_findings", host="gpu1", kind=kind) for kind in KINDS}
    expected = {**dict.fromkeys(KINDS, 0), "drift": 2, "warn": 1, "accepted": 1, "ok": 2}
    assert counts == expected
    # A host that was not read has no values, rather than zeros.
    assert not any(("host", "gpu2") in labels for name, labels in found if "findings" in name)


def test_the_run() -> None:
    found = samples(report(host("gpu1", swap_size="drift")))
    assert value(found, "last_run_timestamp_seconds") == AT
    assert value(found, "duration_seconds") == 12.5
    assert value(found, "exit_status") == 2


def test_a_host_of_any_name() -> None:
    found = samples(report(host(ODD, swap_size="drift")))
    assert value(found, "host_findings", host=ODD, kind="drift") == 1


def test_node_exporter_can_read_it(tmp_path: Path) -> None:
    file = tmp_path / "gpuhost.prom"
    before = os.umask(0o077)
    try:
        write(file, report(host("gpu1", swap_size="drift")), 1)
        write(file, report(host("gpu2", swap_size="drift")), 1)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert "gpu2" in file.read_text()
    assert "gpu1" not in file.read_text()
    assert [one.name for one in tmp_path.iterdir()] == ["gpuhost.prom"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "gpuhost.prom"
    link.symlink_to("there/real.prom")
    write(link, report(), 1)
    assert link.is_symlink()
    assert (tmp_path / "there" / "real.prom").is_file()


def test_a_device_is_not_replaced() -> None:
    write(Path("/dev/null"), report(), 1)
    assert Path("/dev/null").is_char_device()
    assert write_problem(Path("/dev/null")) == ""


@pytest.mark.parametrize(
    ("path", "why"),
    [("no/such/file.prom", "no such directory: "), (".", "is a directory"), ("file/x", "no such")],
)
def test_unwritable_files_are_known_before_the_run(tmp_path: Path, path: str, why: str) -> None:
    (tmp_path / "file").touch()
    assert write_problem(tmp_path / path).startswith(why)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file"]
