"""Imported first: later imports may print, and pyinfra_cli patches the standard library for
parallel connections. The rest is for a fast start.
"""

from __future__ import annotations

import gc
import sys
from types import ModuleType

# What imports create is never garbage.
gc.disable()

from gpuhost.cli.common import streams  # noqa: E402, F401

# isort: split
import gevent.events  # type: ignore[import-untyped]  # noqa: E402

# For each module that it patches, gevent looks through all installed packages for plugins.
gevent.events.notify_and_call_entry_points = gevent.events.notify

# isort: split
import pyinfra_cli  # type: ignore[import-untyped]  # noqa: E402, F401


class _Mocks(ModuleType):
    """typeguard accepts a `Mock` for any type. The real module imports asyncio."""

    Mock = type("Mock", (), {})
    patch = None


# paramiko imports invoke for `Match exec` in an ssh_config, where pyinfra puts its own in place of
# it; pyinfra imports typeguard.
_without = {"invoke": None, "unittest.mock": _Mocks("unittest.mock")}
_without = {name: module for name, module in _without.items() if name not in sys.modules}
sys.modules.update(_without)  # type: ignore[arg-type]

# isort: split
import pyinfra.connectors.sshuserclient  # noqa: E402, F401

for _name in _without:
    del sys.modules[_name]


def is_over() -> None:
    """Collect garbage from now on, but never what was imported: worker processes share it."""
    gc.freeze()
    # Hosts leave little in cycles; the default looks for it every 700 objects.
    gc.set_threshold(20_000)
    gc.enable()
