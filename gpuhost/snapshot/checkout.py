"""What others can change in the checkout that the nightly drift check runs."""

from __future__ import annotations

from shlex import quote

from gpuhost.snapshot.request import ProbeCommand, Request

ACCOUNT = "gpuhost-drift"
CHECKOUTS = "checkouts"
# Links are followed: to an interpreter elsewhere, say. The first path is enough.
FIND = (
    f"u=$(id -u {ACCOUNT} 2>/dev/null || echo 0); exec find -L \"$@\" -xdev '(' ! -uid 0 ! -uid $u "
    "-o -perm -002 ! -type l -o -perm -020 ! -gid 0 ! -type l ')' -printf '%p (%u %m)\\n' -quit"
)
REQUEST = Request(
    probes=(ProbeCommand(CHECKOUTS, f"sh -c {quote(FIND)} sh", seconds=20, arguments="checkouts"),),
)
