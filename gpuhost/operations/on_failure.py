"""Show the findings of a host when its step fails: it never reaches the verification."""

from __future__ import annotations

import sys

from pyinfra import logger
from pyinfra.api import BaseStateCallback, State
from pyinfra.api.host import Host
from pyinfra.context import ctx_host

from gpuhost.checks.registry import run_checks
from gpuhost.operations.reading import forget, read
from gpuhost.outputs.table import console, print_findings
from gpuhost.settings.merge import settings_of

VERIFICATION = "Verification"


class _ShowFindings(BaseStateCallback):
    @staticmethod
    def operation_host_error(
        state: State, host: Host, op_hash: str, retry_count: int = 0, max_retries: int = 0
    ) -> None:
        if not host.connected or not _verification_follows(state, host, op_hash):
            return
        try:
            with ctx_host.use(host):
                settings = settings_of(host)
                forget()
                findings = run_checks(read(settings), settings)
                print_findings(str(host.name), findings, console(sys.stderr))
        except Exception as error:
            # The step's own failure is what counts, and it has been reported.
            logger.warning(f"{host.print_prefix}the findings could not be shown: {error!r}")


def _verification_follows(state: State, host: Host, op_hash: str) -> bool:
    """Whether the verification would come later. Steps after it report their own failures."""
    later_hashes = host.op_hash_order[host.op_hash_order.index(op_hash) + 1 :]
    return any(VERIFICATION in state.get_op_meta(later).names for later in later_hashes)


def show_findings_on_failure(state: State) -> None:
    """Register it once per run, however many hosts call this."""
    if not any(isinstance(handler, _ShowFindings) for handler in state.callback_handlers):
        state.add_callback_handler(_ShowFindings())
