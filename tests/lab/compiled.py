"""What the compiler made on lab hosts, kept for the next run: a driver's modules take minutes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.hosts import LabHost
from tests.lab.state import folder, locked

# The compiler of each release's kernels.
GCC = {"bookworm": "gcc-12", "trixie": "gcc-14"}
CACHE = "/root/.cache/ccache"


def reuse(host: LabHost) -> None:
    """Let ccache answer for the compiler on this host, with what was kept of one like it."""
    host.run("DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends ccache")
    compiler = GCC[host.state.release]
    for name in (compiler, f"x86_64-linux-gnu-{compiler}"):
        # The first directory in DKMS's own PATH.
        host.run(f"ln -s ../bin/ccache /usr/sbin/{name}")
    host.run(f"mkdir -p {CACHE} && ccache --max-size 500M")
    with locked("compiled"):
        if _place(host).is_dir():
            host.engine.docker("cp", f"{_place(host)}/.", f"{host.state.container}:{CACHE}")


def keep(host: LabHost) -> None:
    """Keep what was compiled on this host."""
    with locked("compiled"):
        shutil.rmtree(_place(host), ignore_errors=True)
        _place(host).parent.mkdir(exist_ok=True)
        host.engine.docker("cp", f"{host.state.container}:{CACHE}", str(_place(host)))


@contextmanager
def broken_compiler(host: LabHost) -> Iterator[None]:
    """While this lasts, nothing compiles."""
    path = f"/usr/bin/x86_64-linux-gnu-{GCC[host.state.release]}"
    host.run(f"mv {path} {path}.away && ln -s /bin/false {path}")
    try:
        yield
    finally:
        host.run(f"mv -f {path}.away {path}")


def _place(host: LabHost) -> Path:
    return folder() / "compiled" / f"{host.state.release}-{host.state.card}"
