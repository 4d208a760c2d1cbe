"""The result of a host as it leaves its process: of limited size, its texts printable."""

from __future__ import annotations

from typing import TypeVar

from gpuhost.domain.plain_text import safe
from gpuhost.domain.sizes import MB
from gpuhost.fleet.channel import pack
from gpuhost.fleet.host_pool import HostError
from gpuhost.fleet.host_status import HostStatus

T = TypeVar("T")
# Of a host with a hundred apps, each with all its releases, it is about half.
MAX_BYTES = 8 * MB


def safe_result(result: T | HostError) -> T | HostError:
    """The same result, if it is not too large; every text from the host is safe to show."""
    result = safe(result)
    size = len(pack(result))
    if size <= MAX_BYTES:
        return result
    reason = f"its result is too large: {size // MB} MB, at most {MAX_BYTES // MB} MB"
    return HostError(HostStatus.ERROR, reason)
