"""NVIDIA's apt repository, where gpuhost has taken the driver from it."""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, fail, ok, skip
from gpuhost.checks.registry import check
from gpuhost.domain.nvidia.repository import UnknownRepositoryError
from gpuhost.plans.gpu import not_concerned
from gpuhost.plans.nvidia_repository import preferences, repository_for
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.nvidia import PREFERENCES

AGAIN = "run the deploy again"


@check(
    "nvidia.repository",
    "Where gpuhost took the driver from NVIDIA's repository, apt has it, with the declared key.",
)
def apt_repository(snapshot: Snapshot, settings: Settings) -> Verdict:
    if reason := not_concerned(snapshot, settings):
        return skip(reason)
    if settings.nvidia_driver != "install" or settings.nvidia_source != "nvidia":
        return skip("the driver is not to come from there")
    try:
        repo = repository_for(snapshot, settings)
    except UnknownRepositoryError as error:
        return skip(str(error))
    paths = (repo.sources_path, repo.key_path, PREFERENCES)
    sources, key, pins = (snapshot.probes.file(path) for path in paths)
    if not snapshot.nvidia.record.packages or (sources, key, pins) == (None, None, None):
        return skip("the driver that is there does not come from there")
    if sources != repo.sources:
        return fail(repo.uri, f"{repo.sources_path} is {_found(sources)}", fix=AGAIN)
    if key is None:
        return fail(f"the key {repo.fingerprint}", f"no {repo.key_path}", fix=AGAIN)
    if refusal := repo.refused_key(key.encode()):
        return fail(f"the key {repo.fingerprint}", refusal, fix=AGAIN)
    if pins != preferences():
        return fail("before the distribution's", f"{PREFERENCES} is {_found(pins)}", fix=AGAIN)
    return ok(repo.uri)


def _found(text: str | None) -> str:
    return "not there" if text is None else "otherwise"
