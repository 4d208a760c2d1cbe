"""Remove nouns by name."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from pyinfra import host, logger, state

from gpuhost.operations import applied
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args

OPTION = "--data remove=NAME,NAME"
ORDER = (
    *("proxy", "system", "apt", "swap", "nvidia", "docker", "build", "toolkit", "firewall"),
    *("drift", "app"),
)
# The step of the noun "app" is the module of all apps.
MODULES = {"app": "apps"}


def removable() -> list[str]:
    """The nouns whose step has a `remove`."""
    return sorted(ORDER)


def remove(settings: Settings) -> None:
    """Remove the nouns that `--data remove` names; an unknown one fails the host, unchanged."""
    value = host.data.get("remove", "")
    names = value if isinstance(value, (list, tuple)) else str(value).split(",")
    names = [name.strip() for name in names if name.strip()]
    unknown = sorted(set(names) - set(removable()))
    if unknown or not names:
        problem = f"cannot remove {', '.join(unknown)}" if unknown else "nothing to remove"
        logger.error(f"{host.print_prefix}{problem}: {OPTION}; names: {', '.join(removable())}")
        state.fail_hosts({host})
        return
    # In the reverse order of the deploy.
    for name in sorted(set(names), key=ORDER.index, reverse=True):
        _step(name).remove(settings)
    applied.forget(name="Record", settings=settings, nouns=tuple(names), **sudo_args(settings))


def _step(name: str) -> ModuleType:
    return import_module(f"gpuhost.steps.{MODULES.get(name, name)}")
