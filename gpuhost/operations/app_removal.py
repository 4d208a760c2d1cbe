"""Taking an app off its host again; what it wrote stays."""

from __future__ import annotations

import base64
from importlib.resources import files

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, QuoteString, State, StringCommand, operation
from pyinfra.api.host import Host

from gpuhost.operations.app_turn import reasons, refused
from gpuhost.operations.commands import connector_arguments
from gpuhost.operations.reading import Commands, executing, forget, read
from gpuhost.release.draft import Refused, who
from gpuhost.release.progress import readable
from gpuhost.release.runner_file import runner_file
from gpuhost.runner.contract import APPS
from gpuhost.settings import Settings

SCRIPT = "app_remove.sh"
# Every service may take its whole grace period to stop.
LIMIT_SECONDS = 1800
SPARE_SECONDS = 60


@operation()
def removed(app: str, declared: Settings) -> Commands:
    """
    Have an app off the host: its containers and networks, its site, its timers, its releases and
    their images. Its directory, its volumes, its backups and the secrets that were made for it
    stay, and it is said how to delete them. Not there: no change.

    + app: its name
    + declared: the settings of this host

    **Example:**

    .. code:: python

        removed(name="Remove tts", app="tts", declared=settings)
    """
    try:
        known = read(declared).apps.get(app)
        if known and known.under_way:
            under_way = known.under_way
            raise Refused([f"{under_way.kind} {under_way.id} is under way; wait for it"])
    except Exception as error:
        # An exception would end the run of every host.
        yield from refused(app, reasons(error))
        return
    if known is None:
        host.noop(f"{app} is not on this host")
        return
    host.log(f"{app}: {'removes' if executing() else 'would remove'} it; its data stays")
    yield FunctionCommand(_remove, (app,), {})


def _remove(state: State, host: Host, app: str) -> bool:
    forget()
    arguments = {**connector_arguments(host), "_stdin": _runner()}
    done, output = host.run_shell_command(command(app), **arguments)
    for line in output.stdout_lines:
        host.log(f"{app}: {readable(line)}")
    for line in () if done else output.stderr_lines or ["it was cut off; run this again"]:
        host.log_styled(f"{app}: {readable(line)}", fg="red", log_func=logger.error)
    return done


def command(app: str) -> StringCommand:
    """The script as an argument, because the runner takes stdin."""
    script = files("gpuhost.operations").joinpath(SCRIPT).read_text(encoding="utf-8")
    words = (f"{APPS}/{app}", who(), str(LIMIT_SECONDS))
    return StringCommand(
        *("LC_ALL=C", "timeout", "-k", "5", str(LIMIT_SECONDS + SPARE_SECONDS), "sh", "-c"),
        QuoteString(script),
        "sh",
        *map(QuoteString, words),
    )


def _runner() -> list[str]:
    return base64.encodebytes(runner_file().data).decode("ascii").splitlines()
