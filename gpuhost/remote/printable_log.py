"""What pyinfra prints during a run may hold the output of a host: only its own colours stay."""

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
    """From now on pyinfra's log has no other control characters than colours."""
    if not any(isinstance(one, _Printable) for one in logger.filters):
        logger.addFilter(_Printable())
