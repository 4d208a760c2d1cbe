"""A drift run as Prometheus metrics, for node_exporter's textfile collector."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from gpuhost.domain.plain_text import plain
from gpuhost.drift.difference import KINDS
from gpuhost.drift.files import replace
from gpuhost.drift.report import STATUSES, DriftReport, HostDrift

EXIT_STATUS = "0: no drift, 1: an invalid setting, 2: drift, 3: a host could not be read."


def write(path: Path, report: DriftReport, seconds: float) -> None:
    """Replace the metrics of the previous run. Raises OSError."""
    # node_exporter is another user, and may read at any moment.
    replace(path, text(report, seconds), mode=0o644)


def text(report: DriftReport, seconds: float) -> str:
    """+ seconds: how long the run took"""
    registry = CollectorRegistry()
    _of_hosts(report, registry)
    for name, value, meaning in (
        ("last_run_timestamp_seconds", report.at, "When the last drift check started."),
        ("duration_seconds", seconds, "How long it took."),
        ("exit_status", int(report.exit), EXIT_STATUS),
    ):
        Gauge(f"gpuhost_drift_{name}", meaning, registry=registry).set(value)
    return generate_latest(registry).decode()


def _of_hosts(report: DriftReport, registry: CollectorRegistry) -> None:
    status = Gauge(
        "gpuhost_drift_host_status",
        "1 for the status of the host, 0 for every other status.",
        ("host", "status"),
        registry=registry,
    )
    findings = Gauge(
        "gpuhost_drift_host_findings",
        "Findings of a host that was read, by kind.",
        ("host", "kind"),
        registry=registry,
    )
    for host in report.hosts:
        name = plain(host.host)
        for candidate in STATUSES:
            status.labels(name, candidate.value).set(candidate is host.status)
        for kind, count in _counts(host):
            findings.labels(name, kind).set(count)


def _counts(host: HostDrift) -> list[tuple[str, int]]:
    """No values, instead of zeros, for a host that was not read."""
    counts = Counter(one.kind for one in host.differences)
    return [(kind, counts[kind]) for kind in KINDS] if host.differences else []
