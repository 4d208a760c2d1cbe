"""NVIDIA's apt repository, if gpuhost installed the driver from it."""

from __future__ import annotations

from gpuhost.checks.finding import Status, Verdict, fail, skip
from gpuhost.checks.registry import check
from gpuhost.checks.repository import repository_verdict, state
from gpuhost.checks.unreachable import NVIDIA
from gpuhost.domain.advice import AGAIN
from gpuhost.domain.nvidia.repository import UnknownRepositoryError
from gpuhost.plans.gpu import reason_without_driver
from gpuhost.plans.nvidia_repository import preferences, repository_for
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.nvidia import PREFERENCES


@check(
    "nvidia.repository",
    "If gpuhost installed the driver from NVIDIA's repository, apt has it, with the declared key.",
)
def apt_repository(snapshot: Snapshot, settings: Settings) -> Verdict:
    if reason := reason_without_driver(snapshot, settings):
        return skip(reason)
    if settings.nvidia_driver != "install" or settings.nvidia_source != "nvidia":
        return skip("the driver is not installed from NVIDIA's repository")
    try:
        repo = repository_for(snapshot, settings)
    except UnknownRepositoryError as error:
        return skip(str(error))
    paths = (repo.sources_path, repo.key_path, PREFERENCES)
    sources, key, pins = (snapshot.probes.file(path) for path in paths)
    if not snapshot.nvidia.record.packages or (sources, key, pins) == (None, None, None):
        return skip("the installed driver does not come from NVIDIA's repository")
    verdict = repository_verdict(repo, snapshot, settings, NVIDIA)
    if verdict.status is not Status.OK:
        return verdict
    if pins != preferences():
        return fail("preferred to the distribution's", f"{PREFERENCES} {state(pins)}", fix=AGAIN)
    return verdict
