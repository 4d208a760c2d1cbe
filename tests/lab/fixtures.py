"""Fixtures for tests on lab hosts.

Without root or an engine these tests are skipped, and the last lines of the run report it; with
CI=true that is an error instead.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.lab import engine
from tests.lab.hosts import LabHost
from tests.lab.lab import HostSpec, Lab, down
from tests.lab.process import LabError, this_process

Hosts = Callable[..., list[LabHost]]
NO_LAB = "no lab: "


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The lab of this test session; removed at its end, or after a crash by the next session."""
    try:
        engine.ensure()
    except LabError as error:
        if _in_ci():
            raise
        pytest.skip(f"{NO_LAB}{error}")
    made = Lab(f"test-{os.getpid()}", owner=this_process())
    yield made
    down(made.name)


@pytest.fixture(scope="session")
def hosts(lab: Lab) -> Hosts:
    """Hosts by their properties, booted on first use and then shared.

    **Example:**

    .. code:: python

        one, two = hosts(HostSpec("web", "trixie"), HostSpec("gpu", "bookworm", card="p40"))
    """
    booted: dict[str, HostSpec] = {}

    def get(*specs: HostSpec) -> list[LabHost]:
        for spec in specs:
            if booted.setdefault(spec.name, spec) != spec:
                raise LabError(f"{spec.name} is up already, as {booted[spec.name]}")
        lab.boot(*(spec for spec in specs if spec.name not in lab.hosts))
        return [lab.hosts[spec.name] for spec in specs]

    return get


@pytest.fixture(scope="session")
def debians(hosts: Hosts) -> list[LabHost]:
    """One shared host of each release, without a card."""
    return hosts(HostSpec("plain-bookworm", "bookworm"), HostSpec("plain-trixie", "trixie"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """If the lab cannot run, skip its tests; in CI, fail the run."""
    needing = [item for item in items if item.get_closest_marker("lab")]
    reason = engine.why_not() if needing else None
    if reason is None:
        return
    if _in_ci() and not hasattr(config, "workerinput"):
        raise pytest.UsageError(f"{len(needing)} lab tests must run in CI, and cannot: {reason}")
    for item in needing:
        item.add_marker(pytest.mark.skip(reason=f"{NO_LAB}{reason}"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report at the end which tests were skipped."""
    reasons = _skipped(terminalreporter)
    if reasons:
        line = f"NOT TESTED on real hosts: {len(reasons)} lab tests were skipped: {reasons[0]}"
        terminalreporter.write_line(line, yellow=True, bold=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With several workers, only their reports show that lab tests were skipped."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and _in_ci() and _skipped(reporter):
        session.exitstatus = pytest.ExitCode.USAGE_ERROR


def _skipped(reporter: pytest.TerminalReporter) -> list[str]:
    """The reason of every lab test that was skipped because there is no lab."""
    details = [report.longrepr for report in reporter.stats.get("skipped", [])]
    reasons = [text[2].partition(NO_LAB) for text in details if isinstance(text, tuple)]
    return [reason for _, separator, reason in reasons if separator]


def _in_ci() -> bool:
    return os.environ.get("CI") == "true"
