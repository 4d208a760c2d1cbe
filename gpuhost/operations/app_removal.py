"""Remove an app from its host, with the runner of this gpuhost; the app's data stays."""

from __future__ import annotations

import base64

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, State, StringCommand
from pyinfra.api.host import Host

from gpuhost.operations.app_operation import explain, refuse_app, require_idle
from gpuhost.operations.reading import Commands, executing, forget, read
from gpuhost.remote.commands import inline_script, run_on
from gpuhost.rollout.draft import current_user
from gpuhost.rollout.progress import readable
from gpuhost.rollout.runner_file import runner_file
from gpuhost.runner.contract import APPS
from gpuhost.settings import Settings

SCRIPT = "app_remove.sh"
# Every service may need its whole grace period to stop.
LIMIT_SECONDS = 1800
SPARE_SECONDS = 60


def commands(app: str, settings: Settings) -> Commands:
    """The commands of `app.remove`."""
    try:
        state = read(settings).apps.get(app)
        if state:
            require_idle(state)
    except Exception as error:
        # An exception would end the run on every host.
        yield from refuse_app(app, explain(error))
        return
    if state is None:
        host.noop(f"{app} is not on this host")
        return
    host.log(f"{app}: {'removes' if executing() else 'would remove'} the app; its data stays")
    yield FunctionCommand(_remove, (app,), {})


def _remove(state: State, host: Host, app: str) -> bool:
    forget()
    done, output = run_on(host, command(app), _stdin=encoded_runner())
    for line in output.stdout_lines:
        host.log(f"{app}: {readable(line)}")
    errors = [] if done else output.stderr_lines or ["the connection was lost; run this again"]
    for line in errors:
        host.log_styled(f"{app}: {readable(line)}", fg="red", log_func=logger.error)
    return done


def command(app: str) -> StringCommand:
    """The script is an argument, because the runner is sent on stdin."""
    arguments = (f"{APPS}/{app}", current_user(), LIMIT_SECONDS)
    return inline_script(SCRIPT, *arguments, seconds=LIMIT_SECONDS + SPARE_SECONDS)


def encoded_runner() -> list[str]:
    """The runner in base64, as the script reads it."""
    return base64.encodebytes(runner_file().data).decode("ascii").splitlines()
