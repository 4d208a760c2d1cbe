"""The files that gpuhost writes belong to root, and nobody else can write them.

The check of a noun compares the content of its files. Firewall, proxy, apt cache and apps also
compare owner and mode of theirs.
"""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, fail, ok
from gpuhost.checks.registry import check
from gpuhost.plans.proxy import is_declared
from gpuhost.plans.system_files import PATHS, faults
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot


@check(
    "system.files", "The files that gpuhost writes belong to root, and nobody else can change them."
)
def files(snapshot: Snapshot, settings: Settings) -> Verdict:
    bad = list(faults(snapshot, proxy=is_declared(settings)))
    if not bad:
        existing = sum(snapshot.paths.get(path) is not None for path in PATHS)
        return ok(f"{existing} files and directories", expected="of root, written by nobody else")
    lines = [f"{one.path} is {one.state}" for one in bad]
    links = [one.path for one in bad if one.link]
    return fail(
        "; ".join(f"{one.path} root {one.mode}" for one in bad),
        "; ".join(lines),
        fix=f"rm {' '.join(links)}; run the deploy again" if links else "run the deploy again",
    )
