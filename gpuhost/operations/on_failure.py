"""A host whose step failed never reaches the verification: it shows its findings right there."""

from __future__ import annotations

from pyinfra import logger
from pyinfra.api import BaseStateCallback, State
from pyinfra.api.host import Host
from pyinfra.context import ctx_host

from gpuhost.checks.registry import run_checks
from gpuhost.operations.reading import forget, read
from gpuhost.outputs.table import show
from gpuhost.settings.merge import settings_of

VERIFICATION = "Verification"


class _ShowFindings(BaseStateCallback):
    @staticmethod
    def operation_host_error(
        state: State, host: Host, op_hash: str, retry_count: int = 0, max_retries: int = 0
    ) -> None:
        if not host.connected or not _was_to_be_verified(state, host, op_hash):
            return
        try:
            with ctx_host.use(host):
                settings = settings_of(host)
                forget()
                show(host.name, run_checks(read(settings), settings))
        except Exception as error:
            # What failed first is what counts, and it has been said.
            logger.warning(f"{host.print_prefix}the findings could not be shown: {error!r}")


def _was_to_be_verified(state: State, host: Host, op_hash: str) -> bool:
    """Whether the verification was to come: what follows it tells by itself what is wrong."""
    later = host.op_hash_order[host.op_hash_order.index(op_hash) + 1 :]
    return any(VERIFICATION in state.get_op_meta(one).names for one in later)


def show_findings_on_failure(state: State) -> None:
    """Once per run, however many hosts ask for it."""
    if not any(isinstance(handler, _ShowFindings) for handler in state.callback_handlers):
        state.add_callback_handler(_ShowFindings())
