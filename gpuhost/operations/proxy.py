"""The write side of the HTTP proxy."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from pyinfra import host
from pyinfra.api import StringCommand

from gpuhost.checks.finding import Status
from gpuhost.checks.registry import finding_of
from gpuhost.operations.reading import Commands, operation, read
from gpuhost.plans.proxy import (
    ENGINE_DROPIN,
    ENGINE_FILE,
    MODES,
    client_values,
    expected_files,
    is_declared,
    wrong_files,
)
from gpuhost.remote.commands import QUICK, put, refuse, remove, run
from gpuhost.settings import Settings


@operation
def everywhere(
    http: str | None = None,
    https: str | None = None,
    no_proxy: tuple[str, ...] = ("localhost", "127.0.0.1", "::1"),
) -> Commands:
    """
    Have apt, the engine, builds and containers go through an HTTP proxy; without one, take away
    what an earlier run set. The engine takes a change up when it starts, which is not done here.
    A password in the URL reaches the host on stdin and lies there in files of root's only.

    + http: URL of the proxy
    + https: the same for HTTPS
    + no_proxy: hosts, domains and networks that are reached without it

    **Example:**

    .. code:: python

        from gpuhost.operations import proxy
        proxy.everywhere(name="HTTP proxy", http="http://10.0.0.1:3128", https="http://10.0.0.1:3128")
    """
    settings = Settings(proxy_http=http, proxy_https=https, proxy_no=tuple(no_proxy))
    snapshot = read(settings)
    wrong = wrong_files(snapshot, settings, *MODES)
    of_client = finding_of("proxy.client", snapshot, settings)
    if of_client.status is Status.UNKNOWN:
        refuse("proxy", of_client.actual)
        return
    if not wrong and of_client.status is not Status.FAIL:
        host.noop("the proxy is as declared")
        return
    expected = expected_files(settings)
    of_engine = {ENGINE_DROPIN, ENGINE_FILE} & set(wrong)
    if of_engine and not is_declared(settings):
        yield _on_host("taken_from_engine()")
    for path in wrong:
        yield put(path, expected[path], mode=MODES[path]) if path in expected else remove(path)
    if of_engine:
        yield run("systemctl", "daemon-reload", seconds=60)
    if of_client.status is Status.FAIL:
        # The merge happens on the host: config.json holds passwords that nobody else may read.
        yield _on_host(f"main({json.dumps(client_values(settings))})")


def _on_host(call: str) -> StringCommand:
    """A function of client_proxy.py, called on the host."""
    return StringCommand(
        f"LC_ALL=C timeout -k 5 {QUICK} python3 -I -",
        _stdin=f"{_program()}\n\n{call}\n",
    )


@cache
def _program() -> str:
    return files("gpuhost.remote").joinpath("client_proxy.py").read_text(encoding="utf-8")
