"""Whether apt has a vendor's repository as gpuhost adds it."""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, fail, ok
from gpuhost.checks.unreachable import fix_for
from gpuhost.domain.advice import AGAIN
from gpuhost.domain.apt.repository import Repository
from gpuhost.plans.apt_archives import SPLIT, clashing, shared
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot


def repository_verdict(
    repo: Repository, snapshot: Snapshot, settings: Settings, alternative: str
) -> Verdict:
    """Its sources file, its key, and no other definition of its archive.

    + alternative: the settings to change if it is out of reach
    """
    sources, key = map(snapshot.probes.file, (repo.sources_path, repo.key_path))
    if others := clashing(snapshot, repo):
        mixed = "" if settings.adopt else shared(snapshot, repo)
        places = ", ".join(map(str, others))
        return fail(
            "one source",
            f"also defined in {places}",
            evidence=mixed,
            fix=f"{SPLIT}; then {AGAIN}" if mixed else AGAIN,
        )
    fix = fix_for(repo, snapshot, alternative)
    if sources != repo.sources:
        return fail(repo.uri, f"{repo.sources_path} {state(sources)}", fix=fix)
    if key is None:
        return fail(f"the key {repo.fingerprint}", f"no {repo.key_path}", fix=fix)
    if refusal := repo.refused_key(key.encode()):
        return fail(f"the key {repo.fingerprint}", refusal, fix=f"rm {repo.key_path}; {AGAIN}")
    return ok(repo.uri)


def state(text: str | None) -> str:
    """Of a file that is not as gpuhost writes it."""
    return "does not exist" if text is None else "differs"
