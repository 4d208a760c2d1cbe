"""The files that gpuhost writes are root's, and nobody else writes them.

What is in them is judged by the check of their noun. Firewall, proxy and apt cache judge owner and
mode of theirs too, an app those of its own.
"""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, fail, ok
from gpuhost.checks.registry import check
from gpuhost.plans.proxy import is_declared
from gpuhost.plans.system_files import PATHS, faults
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot


@check("system.files", "What gpuhost writes is root's, and nobody else can change it.")
def files(snapshot: Snapshot, settings: Settings) -> Verdict:
    found = list(faults(snapshot, proxy=is_declared(settings)))
    if not found:
        there = sum(snapshot.paths.get(path) is not None for path in PATHS)
        return ok(f"{there} files and directories", expected="root's, written by nobody else")
    told = [f"{one.path} is {one.found}" for one in found]
    links = [one.path for one in found if one.link]
    return fail(
        "; ".join(f"{one.path} root {one.mode}" for one in found),
        "; ".join(told),
        fix=f"rm {' '.join(links)}; run the deploy again" if links else "run the deploy again",
    )
