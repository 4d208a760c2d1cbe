"""The lab's apt repositories, and the server that hosts download from."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.lab import containers, images, network
from tests.lab.engine import LABEL, Engine
from tests.lab.packages import docker, toolkit
from tests.lab.packages.archive import Signer, Suite, signers
from tests.lab.process import Deadline, need, progress
from tests.lab.state import RepositoryState, folder, locked

# Mirrors are judged by the age of their Release files: none here gets older than this.
FRESH_SECONDS = 3 * 24 * 3600
STATE = "lab.json"
NAME = "gpuhost-lab-repository"


def ensure(engine: Engine) -> RepositoryState:
    """The repositories, built where the recipe has changed, and a server that answers."""
    images.ensure(engine, *images.RELEASES)
    key = _key()
    name = f"{NAME}-{key}"
    with locked("repository"):
        state = _served(engine, name)
        if state is None:
            www = folder() / "repository" / key
            if not (www / STATE).exists():
                _build(engine, www)
            state = _serve(engine, name, www)
    return state


def remove_server(engine: Engine) -> None:
    """Stop serving, whatever recipe is served."""
    served = engine.ids("ps", "-aq", "--filter", f"label={LABEL}=repository")
    if served:
        engine.docker("rm", "-f", *served)


def _key() -> str:
    here = Path(__file__).parent
    recipe = hashlib.sha256(str(int(time.time() / FRESH_SECONDS)).encode())
    for path in [Path(__file__), *sorted((here / "packages").rglob("*"))]:
        if path.is_file() and "__pycache__" not in path.parts:
            recipe.update(path.read_bytes())
    return recipe.hexdigest()[:12]


def _build(engine: Engine, www: Path) -> None:
    need("gpg")
    progress("building the apt repositories")
    www.parent.mkdir(parents=True, exist_ok=True)
    for old in www.parent.iterdir():
        shutil.rmtree(old)
    beside = www.with_suffix(".part")
    beside.mkdir()
    with (
        tempfile.TemporaryDirectory(dir=folder(), prefix="build-") as scratch,
        signers("docker", "toolkit", "nvidia", "mirror") as keys,
    ):
        debs = _download(engine, Path(scratch) / "debs")
        _docker(beside / "docker-ce/linux/debian", debs, keys["docker"], Path(scratch))
        _toolkit(beside / "libnvidia-container", keys["toolkit"])
        state = {f"{name}_key_fingerprint": key.fingerprint for name, key in keys.items()}
    (beside / STATE).write_text(json.dumps(state))
    beside.rename(www)


def _docker(where: Path, debs: Path, key: Signer, scratch: Path) -> None:
    for release in images.RELEASES:
        number = images.NUMBER_OF[release]
        pool = where / f"dists/{release}/pool/stable/amd64"
        built = [package.build(pool) for package in docker.packages(debs, release, number, scratch)]
        Suite(where, release, {"stable": built}, "Docker", f"Docker CE {release}").write(key)
    (where / "gpg").write_text(key.public_key())


def _toolkit(where: Path, key: Signer) -> None:
    flat = where / "stable/deb/amd64"
    built = [package.build(flat) for package in toolkit.packages()]
    Suite(flat, "", {"": built}, "NVIDIA CORPORATION", "NVIDIA CORPORATION").write_flat(key)
    (where / "gpgkey").write_text(key.public_key())


def _download(engine: Engine, debs: Path) -> Path:
    """Debian's own packages, fetched inside each release."""
    for release in images.RELEASES:
        wanted = docker.SOURCES["own"] + (docker.SOURCES["trixie"] if release == "trixie" else ())
        where = debs / release
        where.mkdir(parents=True)
        script = f"apt-get -q update && cd /debs && apt-get -q download {' '.join(wanted)}"
        containers.run_once(engine, images.reference(release), script, {where: "/debs"})
    return debs


def _served(engine: Engine, name: str) -> RepositoryState | None:
    shown = engine.run(
        "inspect", "-f", f'{{{{index .Config.Labels "{containers.ADDRESS}"}}}}', name, check=False
    )
    if shown.returncode != 0:
        return None
    engine.docker("start", name)
    return _answer(shown.stdout.strip())


def _serve(engine: Engine, name: str, www: Path) -> RepositoryState:
    remove_server(engine)
    address = network.repository_address(network.ensure(engine))
    engine.docker(
        "run", "-d", "--name", name, "--network", network.NAME, "--ip", address,
        *containers.labels("repository", None, address), f"--volume={www}:/www:ro",
        images.reference("trixie"), "python3", "-m", "http.server", "-d", "/www", "80",
    )  # fmt: skip
    return _answer(address)


def _answer(address: str) -> RepositoryState:
    base = f"http://{address}"
    deadline = Deadline(20, f"the lab's repository at {base}")
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with direct.open(f"{base}/{STATE}", timeout=5) as response:
                return RepositoryState(base=base, **json.load(response))
        except (urllib.error.URLError, OSError):
            deadline.pause()
