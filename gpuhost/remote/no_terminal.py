"""Without a terminal pyinfra must not ask: its `input()` would end in a traceback.

protect_controller does this: config.py calls it before the hosts are connected; deploys and
operations call it for a directory without config.py.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import pyinfra.connectors.ssh_util
import pyinfra.connectors.util
from pyinfra import state
from pyinfra.api.state import StateStage
from pyinfra.connectors.sshuserclient import client

WHAT_TO_DO = "add -y to run without a question, or --dry to see only what would change"


def never_ask_without_terminal() -> None:
    """Answer pyinfra's questions in this process by a rule, unless stdin is a terminal."""
    command = sys.modules.get("pyinfra_cli.cli")
    if command is None or has_terminal():
        return
    command.__dict__["_do_confirm"] = _answer
    # An unknown host key is refused.
    client.__dict__["AskPolicy"] = client.StrictPolicy
    for module in (pyinfra.connectors.util, pyinfra.connectors.ssh_util):
        module.__dict__["getpass"] = _no_password


def has_terminal() -> bool:
    # None: it was closed.
    return sys.stdin is not None and sys.stdin.isatty()


def _answer(question: str) -> bool:
    if question.startswith("One of more hosts failed"):
        # Nothing has been changed yet: the other hosts can still be read.
        return state.current_stage < StateStage.Execute
    # Another kind of error would be shown with a traceback.
    raise sys.modules["pyinfra_cli.cli"].CliError(
        f"nothing was changed: there is no terminal to confirm on; {WHAT_TO_DO}"
    )


def _no_password(prompt: str = "", *_: object) -> NoReturn:
    # The prompt may begin with the host's name.
    what = prompt.rpartition("] ")[2].strip(": ")
    # Like a failed connection: this host fails, the others continue.
    raise OSError(f"{what}: there is no terminal to ask on; set it in the inventory")
