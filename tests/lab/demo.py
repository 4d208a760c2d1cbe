"""`make demo`: one disposable host, from blank to verified, broken and repaired; an app; drift."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from tests.apps import base_image
from tests.e2e.commands import ROOT
from tests.e2e.releasing import App
from tests.lab.hosts import LabHost
from tests.lab.lab import HostSpec, Lab, down
from tests.lab.machine_swap import machine_swap_gb
from tests.lab.process import LabError, this_process

BIN = Path(sys.executable).parent
LAB = "demo"
INVENTORY = "inventories/lab.py"
SWAP = ("--data", f"swap_size_gb={machine_swap_gb() + 0.25:g}")
DEPLOY = ("pyinfra", "-y", INVENTORY, "deploys/gpu_host.py", *SWAP)
CHECK = ("gpuhost", "check", INVENTORY, *SWAP)

console = Console(highlight=False)


def main() -> int:
    began = time.monotonic()
    try:
        lab = Lab(LAB, owner=this_process())
        (host,) = lab.boot(HostSpec("demo", "trixie", card="p40"))
        status = _story(host)
    except LabError as error:
        console.print(f"[bold red]The demo cannot run here:[/] {error}")
        status = 1
    except KeyboardInterrupt:
        console.print("\n[bold]Interrupted.[/]")
        status = 130
    finally:
        _say("The host is taken down")
        down(LAB)
    _say(f"Done in {time.monotonic() - began:.0f} s")
    return status


def _story(host: LabHost) -> int:
    _say("A blank Debian 13 with a Tesla P40 (simulated). This makes it a GPU container host:")
    _must(DEPLOY, exits=0)
    _say("The same again: every operation says that nothing changes.")
    _must(DEPLOY, exits=0)
    _say("Two things are broken by hand: swap is switched off, and a key of daemon.json is gone.")
    host.run(f"swapoff {host.state.swap_path}")
    host.run("sed -i '/live-restore/d' /etc/docker/daemon.json")
    console.print("[dim]$ swapoff …; sed -i /live-restore/d /etc/docker/daemon.json[/]")
    _say("The check names both, and exits with 2:")
    _must(CHECK, exits=2)
    _say("Provisioning again repairs both, and only these:")
    _must(DEPLOY, exits=0)
    _must(CHECK, exits=0)
    with TemporaryDirectory() as project:
        app = App("two-second", Path(project), {})
        _app(host, app)
        _drift(host, app)
    return 0


def _app(host: LabHost, app: App) -> None:
    """A first release, one that is rolled back, and a good one."""
    base_image.load(host)
    _say("An app with a database, a migration and nginx is released on it:")
    app.write(revision="first", loads_s=2)
    _must(app.command(), exits=0, where=app.project)
    _say("The next revision exits at once. The release is rolled back:")
    app.write(revision="second", broken="exit")
    _must(app.command(), exits=1, where=app.project)
    _say("The host runs the first release again:")
    _must(("gpuhost", "releases", str(ROOT / INVENTORY), "--app", app.name), exits=0)
    _say("A revision that works is released:")
    app.write(revision="third", loads_s=2)
    _must(app.command(), exits=0, where=app.project)
    _must(("gpuhost", "status", str(ROOT / INVENTORY)), exits=0)


def _drift(host: LabHost, app: App) -> None:
    """Changes by hand on the host, and a changed setting in the repository."""
    _say("A package is unheld and the app's Compose file is edited by hand. A log setting changes.")
    host.run("apt-mark unhold nvidia-container-toolkit")
    host.run(f"echo '# by hand' >>{app.home('current/compose.yaml')}")
    console.print("[dim]$ apt-mark unhold …; echo … >>compose.yaml[/]")
    _say("gpuhost drift: what has drifted, what is only pending, and what to run. It exits with 2:")
    settings = ("--data", f'apps=["{app.name}"]', "--data", "docker_log_max_size=20m")
    drift = ("gpuhost", "drift", str(ROOT / INVENTORY), *SWAP, *settings)
    _must(drift, exits=2, where=app.project)


def _must(command: Sequence[str], *, exits: int, where: Path = ROOT) -> None:
    """Run a command and show it; another exit status than `exits` ends the demo."""
    program, *arguments = command
    shown = " ".join(command).replace(f"{ROOT}/", "")
    console.print(f"[bold]$ {shown}[/]", soft_wrap=True)
    # PYINFRA_PROGRESS stays on: its spinner shows that the slow steps make progress.
    done = subprocess.run(
        [str(BIN / program), *arguments],
        cwd=where,
        env={**os.environ, "GPUHOST_LAB": LAB},
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode != exits:
        raise LabError(f"{program} ended with {done.returncode}, not with {exits}")


def _say(words: str) -> None:
    console.print(f"\n[bold cyan]==> {words}[/]")


if __name__ == "__main__":
    sys.exit(main())
