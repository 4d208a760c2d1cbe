"""What protects this machine and its terminal, and spares it work, while pyinfra runs a deploy."""

from __future__ import annotations

from gpuhost.remote.no_terminal import never_ask_without_terminal
from gpuhost.remote.printable_log import print_only_printable
from gpuhost.remote.spared_work import spare_work
from gpuhost.remote.ssh_limits import limit_ssh


def protect_controller() -> None:
    """Limits for what hosts send, printable output, no questions without a terminal, no work twice.

    It may be called any number of times.
    """
    never_ask_without_terminal()
    limit_ssh()
    print_only_printable()
    spare_work()
