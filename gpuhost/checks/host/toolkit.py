"""The NVIDIA Container Toolkit: installed, complete, and known to the engine."""

from __future__ import annotations

from shlex import quote

from gpuhost.checks.finding import Status, Verdict, fail, later, ok, skip, unknown, warn
from gpuhost.checks.registry import check, finding_of
from gpuhost.checks.repository import repository_verdict
from gpuhost.checks.unreachable import TOOLKIT, fix_for
from gpuhost.domain.advice import AGAIN
from gpuhost.domain.toolkit.packages import PACKAGES
from gpuhost.plans.toolkit import (
    cdi_rivals,
    gives_by_cdi,
    reason_not_needed,
    specification_path,
    working_driver,
)
from gpuhost.plans.toolkit_packages import release, repository
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.docker import DAEMON_JSON
from gpuhost.snapshot.toolkit import REFRESH_UNIT, RUNTIME

NO_DRIVER = "the driver does not work: see the nvidia checks"


def _fails(id: str, snapshot: Snapshot, settings: Settings) -> bool:
    return finding_of(id, snapshot, settings).status is Status.FAIL


def not_installed(snapshot: Snapshot, settings: Settings) -> Verdict | None:
    """Why the check is skipped; None if the packages are as declared."""
    if reason := reason_not_needed(snapshot, settings):
        return skip(reason)
    finding = finding_of("toolkit.packages", snapshot, settings)
    if finding.status is Status.UNKNOWN:
        return unknown(finding.actual)
    failing = finding.status is Status.FAIL
    return later("the packages are not as declared") if failing else None


@check(
    "toolkit.repository",
    "apt has the toolkit's repository of `toolkit_mirror`, with the declared key.",
)
def apt_repository(snapshot: Snapshot, settings: Settings) -> Verdict:
    reason = reason_not_needed(snapshot, settings)
    if reason:
        return skip(reason)
    repo = repository(settings, snapshot.system.architecture)
    return repository_verdict(repo, snapshot, settings, TOOLKIT)


def _install_fix(snapshot: Snapshot, settings: Settings) -> str:
    """How to get the packages: some networks cannot reach NVIDIA's archive."""
    return fix_for(repository(settings, snapshot.system.architecture), snapshot, TOOLKIT)


@check("toolkit.packages", "The toolkit's four packages are installed, all at one version.")
def packages(snapshot: Snapshot, settings: Settings) -> Verdict:
    if reason := reason_not_needed(snapshot, settings):
        return skip(reason)
    declared, installed = settings.toolkit_version, snapshot.toolkit.packages
    expected = f"{declared or 'one version'} of {', '.join(PACKAGES)}"
    absent = [package for package in PACKAGES if package not in installed]
    if absent:
        return fail(
            expected, f"not installed: {', '.join(absent)}", fix=_install_fix(snapshot, settings)
        )
    versions = set(installed.values())
    if len(versions) > 1:
        mixed = ", ".join(f"{package} {installed[package]}" for package in PACKAGES)
        return fail(expected, f"mixed: {mixed}", fix=_install_fix(snapshot, settings))
    version = versions.pop()
    if declared and release(version) != declared:
        return fail(expected, version, fix=_install_fix(snapshot, settings))
    return ok(version)


@check(
    "toolkit.held", "The toolkit's packages are on hold (`nvidia_hold`): no upgrade changes them."
)
def held(snapshot: Snapshot, settings: Settings) -> Verdict:
    if verdict := not_installed(snapshot, settings):
        return verdict
    on_hold = [package for package in PACKAGES if package in snapshot.toolkit.held]
    if not settings.nvidia_hold:
        if on_hold:
            return fail("not held", f"held: {', '.join(on_hold)}", fix=AGAIN)
        return skip("nvidia_hold is False")
    loose = [package for package in PACKAGES if package not in on_hold]
    if loose:
        return fail("held", f"not held: {', '.join(loose)}", fix=AGAIN)
    return ok("held")


@check("toolkit.runtime", "The engine has the runtime `nvidia`, and its program exists.")
def runtime(snapshot: Snapshot, settings: Settings) -> Verdict:
    if verdict := not_installed(snapshot, settings):
        return _left_behind(snapshot, settings) or verdict
    if snapshot.paths.get(RUNTIME) is None:
        return fail(RUNTIME, "it does not exist, although its package is installed", fix=AGAIN)
    if snapshot.docker.engine is None:
        return later("the engine does not answer")
    if "nvidia" in snapshot.docker.engine.runtimes:
        return ok("registered")
    for other in ("docker.config", "docker.live"):
        if _fails(other, snapshot, settings):
            return later(f"the engine does not have it: see {other}")
    return fail("registered", "docker info does not show it", fix="systemctl restart docker")


def _left_behind(snapshot: Snapshot, settings: Settings) -> Verdict | None:
    """The removed toolkit's runtime as the engine's default: then no container starts at all."""
    config = snapshot.docker.config.usable
    is_default = config.get("default-runtime") == "nvidia"
    if not reason_not_needed(snapshot, settings) or not is_default or snapshot.paths.get(RUNTIME):
        return None
    runtimes = config.get("runtimes")
    own = runtimes.get("nvidia") if isinstance(runtimes, dict) else None
    path = own.get("path") if isinstance(own, dict) else None
    if path not in (None, RUNTIME, RUNTIME.rpartition("/")[2]):
        return None
    return fail(
        "a default runtime that exists",
        f"default-runtime is nvidia, and there is no {RUNTIME}: no container starts",
        fix=f"remove default-runtime from {DAEMON_JSON}, then systemctl restart docker",
    )


@check("toolkit.cdi", "The CDI specification matches the loaded driver, and is kept up to date.")
def cdi(snapshot: Snapshot, settings: Settings) -> Verdict:
    if verdict := not_installed(snapshot, settings):
        return verdict
    toolkit, driver = snapshot.toolkit, working_driver(snapshot)
    if driver is None:
        return later(NO_DRIVER)
    if toolkit.refresh_is_off:
        return fail("refreshed with the driver", f"{REFRESH_UNIT} is off", fix=AGAIN)
    no_instances = toolkit.mig_instances == 0 and any(one.mig for one in snapshot.nvidia.answering)
    if no_instances and _fails("nvidia.mig", snapshot, settings):
        return later("MIG is on without instances: see nvidia.mig")
    path = specification_path(toolkit)
    specification = toolkit.specifications.get(path)
    if specification is None:
        return fail(f"driver {driver}", f"no {path}", fix=AGAIN)
    if others := cdi_rivals(snapshot):
        # The toolkit's hook needs no specification.
        judge = warn if gives_by_cdi(snapshot) is False else fail
        return judge(
            "one file for each device",
            f"{path} and {', '.join(others)} name the same devices: none of them can be used "
            "by CDI",
            fix=f"rm {' '.join(map(quote, others))}; systemctl restart docker",
        )
    if specification.drivers and driver not in specification.drivers:
        stale = ", ".join(sorted(specification.drivers))
        return fail(f"driver {driver}", f"{path} is for {stale}", fix=AGAIN)
    if specification.mig_instances != toolkit.mig_instances:
        return fail(
            f"{toolkit.mig_instances} MIG instance(s)",
            f"{path} has {specification.mig_instances}",
            evidence="nothing refreshes it when MIG instances change",
            fix=AGAIN,
        )
    return ok(f"{path} for driver {driver}")
