"""Operations on the HTTP proxy."""

from __future__ import annotations

import json

from pyinfra import host
from pyinfra.api import StringCommand

from gpuhost.checks.finding import Status
from gpuhost.checks.registry import finding_of
from gpuhost.operations.reading import Commands, operation, read
from gpuhost.operations.refuse import refuse
from gpuhost.operations.units import refuse_files
from gpuhost.plans.proxy import (
    ENGINE_DROPIN,
    ENGINE_FILE,
    PATHS,
    client_values,
    host_files,
    is_declared,
    wrong_files,
)
from gpuhost.plans.reload import needs_reload
from gpuhost.remote.commands import QUICK, put, remove, script_text
from gpuhost.remote.units import RELOAD
from gpuhost.settings import Settings


@operation
def configure(
    http: str | None = None,
    https: str | None = None,
    no_proxy: tuple[str, ...] = ("localhost", "127.0.0.1", "::1"),
    adopt: bool = False,
    present: bool = True,
) -> Commands:
    """
    Configure apt, the engine, builds and containers to use an HTTP proxy. The engine uses the new
    value when it starts; this operation does not restart it. A password in the URL is sent on stdin
    and stored in files that only root can read.

    + http: URL of the proxy
    + https: URL of the proxy for HTTPS
    + no_proxy: hosts, domains and networks that are reached without the proxy
    + adopt: reload systemd even if that takes the GPUs from running containers
    + present: False: remove the proxy settings of an earlier run

    **Example:**

    .. code:: python

        from gpuhost.operations import proxy
        proxy.configure(name="HTTP proxy", http="http://10.0.0.1:3128", https="http://10.0.0.1:3128")
    """
    settings = Settings(
        proxy_http=http if present else None,
        proxy_https=https if present else None,
        proxy_no=tuple(no_proxy),
    )
    snapshot = read(settings)
    wrong = wrong_files(snapshot, settings, *PATHS)
    client_finding = finding_of("proxy.client", snapshot, settings)
    if client_finding.status is Status.UNKNOWN:
        refuse("proxy", client_finding.actual)
        return
    if not wrong and client_finding.status is not Status.FAIL:
        host.noop("the proxy is as declared")
        return
    if refuse_files("proxy", snapshot, wrong, adopt=adopt):
        return
    files = host_files(settings)
    engine_files = {ENGINE_DROPIN, ENGINE_FILE} & set(wrong)
    if engine_files and not is_declared(settings):
        yield _run_on_host("taken_from_engine()")
    for path in wrong:
        file = files.get(path)
        yield put(path, file.content, mode=file.mode) if file else remove(path)
    # The environment's file is read when the engine starts.
    if needs_reload(snapshot, wrong):
        yield RELOAD
    if client_finding.status is Status.FAIL:
        # The host merges the values: config.json holds passwords that must not leave it.
        yield _run_on_host(f"main({json.dumps(client_values(settings))})")


def _run_on_host(call: str) -> StringCommand:
    """A function of client_proxy.py, called on the host."""
    return StringCommand(
        f"LC_ALL=C timeout -k 5 {QUICK} python3 -I -",
        _stdin=f"{script_text('client_proxy.py')}\n\n{call}\n",
    )
