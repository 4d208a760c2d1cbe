"""Taking nouns away again, by name."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from pyinfra import host, logger, state

from gpuhost.operations.applied import forgotten
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args

NAMES = "--data remove=swap,firewall"
ORDER = (
    *("proxy", "system", "apt", "swap", "nvidia", "docker", "build", "toolkit", "firewall"),
    *("drift", "app"),
)
# An app is removed by its name; its step releases all of a host's apps.
MODULES = {"app": "apps"}


def removable() -> list[str]:
    """The nouns whose step can remove what it made."""
    return sorted(ORDER)


def remove(settings: Settings) -> None:
    """Every noun that `remove` names; an unknown one ends this host's run, nothing changed."""
    asked = host.data.get("remove", "")
    names = asked if isinstance(asked, (list, tuple)) else str(asked).split(",")
    names = [name.strip() for name in names if name.strip()]
    unknown = sorted(set(names) - set(removable()))
    if unknown or not names:
        problem = f"cannot remove {', '.join(unknown)}" if unknown else "nothing to remove"
        logger.error(f"{host.print_prefix}{problem}: {NAMES} takes {', '.join(removable())}")
        state.fail_hosts({host})
        return
    # The deploy's order, backwards: what was built last goes first.
    for name in sorted(set(names), key=ORDER.index, reverse=True):
        _step(name).removed(settings)
    forgotten(name="Record", settings=settings, nouns=tuple(names), **sudo_args(settings))


def _step(name: str) -> ModuleType:
    return import_module(f"gpuhost.steps.{MODULES.get(name, name)}")
