"""What others can change in the checkout that the nightly drift check runs."""

from __future__ import annotations

from importlib.resources import files
from shlex import quote

from gpuhost.snapshot.request import ProbeCommand, Request

ACCOUNT = "gpuhost-drift"
CHECKOUTS = "checkouts"
FIND = files("gpuhost.snapshot").joinpath("checkout.sh").read_text(encoding="utf-8")
REQUEST = Request(
    probes=(ProbeCommand(CHECKOUTS, f"sh -c {quote(FIND)} sh", seconds=20, arguments="checkouts"),),
)
