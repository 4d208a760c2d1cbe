"""What is read from a host for given settings: every plan module declares its part."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from gpuhost import plans
from gpuhost.settings import Settings
from gpuhost.snapshot.request import Request

Declare = Callable[[Settings], Request]


def request_for(settings: Settings) -> Request:
    """The paths and units of every module of gpuhost.plans that has a function `request`."""
    return Request.union(request(settings) for request in _declarations())


@cache
def _declarations() -> tuple[Declare, ...]:
    names = (module.name for module in iter_modules(plans.__path__))
    modules = (import_module(f"{plans.__name__}.{name}") for name in names)
    return tuple(module.request for module in modules if callable(getattr(module, "request", None)))
