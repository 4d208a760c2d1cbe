"""A host's kernel: its flavour and its headers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Kernel:
    """A kernel of the host.

    + release: `uname -r`, such as "6.8.0-45-generic"
    + flavour: that of its metapackage, such as "generic", "generic-hwe-24.04", "cloud-amd64";
      None: installed without one
    """

    release: str
    flavour: str | None

    @property
    def headers(self) -> tuple[str, ...]:
        """The headers of this kernel and, through the metapackage, of every later one."""
        meta = (f"linux-headers-{self.flavour}",) if self.flavour else ()
        return (f"linux-headers-{self.release}", *meta)


def kernel_flavour(packages: Iterable[str]) -> str | None:
    """The flavour of the installed kernel metapackage, from the names of installed packages.

    **Example:** ``kernel_flavour(["linux-image-generic-hwe-24.04"])`` is "generic-hwe-24.04".

    Of several, the one with the longest name: an HWE or cloud kernel was chosen on purpose.
    """
    names = (re.fullmatch(r"linux-image-((?!\d)[a-z0-9.\-]+)", name) for name in packages)
    flavours = {
        name[1] for name in names if name and "unsigned" not in name[1] and "dbg" not in name[1]
    }
    return max(sorted(flavours), key=len, default=None)
