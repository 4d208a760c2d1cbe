"""What is logged during a run may hold the words of a host: pyinfra's lines keep only pyinfra's own
colours, and paramiko's, which pyinfra sends to the terminal too, are not shown.
"""

from __future__ import annotations

import logging
import re

from pyinfra import logger
from typing_extensions import override

from gpuhost.domain.plain_text import plain

# Colours, as pyinfra writes them; they move nothing and hide nothing.
COLOUR = re.compile(r"(\x1b\[(?:0|1|22|3[1-7])m)")


class _Printable(logging.Filter):
    @override
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = printable(record.getMessage()), ()
        return True


def printable(text: str) -> str:
    """Plain text, except for colours."""
    parts = COLOUR.split(text)
    return "".join(part if COLOUR.fullmatch(part) else plain(part) for part in parts)


def print_only_printable() -> None:
    """From now on pyinfra's log has no other control characters than colours, and paramiko logs
    nothing: pyinfra itself says why a connection failed.
    """
    ssh = logging.getLogger("paramiko")
    ssh.setLevel(logging.CRITICAL)
    ssh.propagate = False
    if not ssh.handlers:
        ssh.addHandler(logging.NullHandler())
    if not any(isinstance(one, _Printable) for one in logger.filters):
        logger.addFilter(_Printable())
