"""A run as Prometheus has it, for node_exporter's textfile collector."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from gpuhost.drift.files import replace
from gpuhost.drift.report import DriftReport, HostDrift, Standing

BY_WHAT_WAS_FOUND = "What was found: 0 as applied, 1 a mistake, 2 drift, 3 not all read."
KINDS = ("unknown", "drift", "new", "pending", "warn", "accepted", "ok")


def write(path: Path, report: DriftReport, seconds: float) -> None:
    """Put the metrics in place of an earlier run's. Raises OSError."""
    # node_exporter is another user, and reads at any moment.
    replace(path, text(report, seconds), mode=0o644)


def text(report: DriftReport, seconds: float) -> str:
    """+ seconds: how long the run took"""
    registry = CollectorRegistry()
    _of_hosts(report, registry)
    for name, value, meaning in (
        ("last_run_timestamp_seconds", report.at, "When the last drift check began."),
        ("duration_seconds", seconds, "How long it took."),
        (
            "exit_status",
            int(report.exit),
            BY_WHAT_WAS_FOUND,
        ),
    ):
        Gauge(f"gpuhost_drift_{name}", meaning, registry=registry).set(value)
    return generate_latest(registry).decode()


def _of_hosts(report: DriftReport, registry: CollectorRegistry) -> None:
    standing = Gauge(
        "gpuhost_drift_host_standing",
        "1 for how the host stands, 0 for every other standing.",
        ("host", "standing"),
        registry=registry,
    )
    findings = Gauge(
        "gpuhost_drift_host_findings",
        "Findings of a host that was read, by kind.",
        ("host", "kind"),
        registry=registry,
    )
    for host in report.hosts:
        for one in Standing:
            standing.labels(host.host, one.value).set(one is host.standing)
        for kind, count in _counted(host):
            findings.labels(host.host, kind).set(count)


def _counted(host: HostDrift) -> list[tuple[str, int]]:
    """Nothing, not nought, for a host that was not read."""
    found = Counter(one.kind for one in host.differences)
    return [(kind, found[kind]) for kind in KINDS] if host.differences else []
