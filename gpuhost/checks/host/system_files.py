"""Only root owns and can change the files that gpuhost writes.

The check of a noun compares the content of its files. Firewall, proxy, apt cache and apps also
compare the owner and mode of their files.
"""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, fail, ok
from gpuhost.checks.registry import check
from gpuhost.domain.advice import AGAIN
from gpuhost.plans.proxy import is_declared
from gpuhost.plans.system_files import PATHS, faults
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot


@check(
    "system.files", "The files that gpuhost writes belong to root, and only root can change them."
)
def files(snapshot: Snapshot, settings: Settings) -> Verdict:
    wrong = list(faults(snapshot, proxy=is_declared(settings)))
    if not wrong:
        existing = sum(snapshot.paths.get(path) is not None for path in PATHS)
        return ok(
            f"{existing} files and directories", expected="owned by root, writable only by root"
        )
    lines = [f"{fault.path} is {fault.state}" for fault in wrong]
    links = [fault.path for fault in wrong if fault.link]
    return fail(
        "; ".join(f"{fault.path} root {fault.mode}" for fault in wrong),
        "; ".join(lines),
        fix=f"rm {' '.join(links)}; {AGAIN}" if links else AGAIN,
    )
