"""The sources of stand-ins: small programs that behave as the facts say."""

from __future__ import annotations

import shutil
from pathlib import Path

from gpuhost.appfile.app import App
from gpuhost.appfile.compose.project_files import LocalFiles
from gpuhost.appfile.loading import PACKAGED, complete, load
from tests.apps.facts import table

HERE = Path(__file__).parent


def write_source(name: str, directory: Path) -> None:
    """Write the source of an app's stand-in.

    Files that only have a fault of upstream are made from the facts: those lines and no others.
    """
    shutil.copytree(HERE / name, directory, dirs_exist_ok=True)
    shutil.copytree(HERE / "stand_in", directory, dirs_exist_ok=True)
    facts = table.load(name) if name in table.NAMES else None
    for file, text in facts.has.items() if facts else ():
        (directory / file).parent.mkdir(parents=True, exist_ok=True)
        (directory / file).write_text(f"{text}\n", encoding="utf-8")
    faults = facts.faults if facts else ()
    own = {fault.file for fault in faults if (directory / fault.file).exists()}
    for fault in faults:
        path = directory / fault.file
        if fault.file not in own:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{fault.text}\n")


def load_packaged(name: str) -> App:
    """A packaged app, as it is shipped; Compose files of its repository are its stand-in's."""
    app = load(PACKAGED / f"{name}.yaml")
    return app if app.is_complete else complete(app, LocalFiles(HERE / name))
