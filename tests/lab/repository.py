"""The lab's apt repositories, and the server that hosts download from."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.lab import cards, containers, images, network
from tests.lab.engine import Engine
from tests.lab.keys import keys_folder
from tests.lab.packages import docker, mirrors, nvidia, toolkit
from tests.lab.packages.archive import Signer, Suite, signers
from tests.lab.process import Deadline, need, progress
from tests.lab.state import RepositoryState, cache_id, folder, locked

# Mirrors are judged by the age of their Release files: none here gets older than this.
FRESH_SECONDS = 3 * 24 * 3600
STATE = "lab.json"
SERVER = Path(__file__).with_name("server.py")


def ensure(engine: Engine) -> RepositoryState:
    """The repositories, built where the recipe has changed, and a server that answers."""
    images.ensure(engine, *images.RELEASES)
    network.ensure(engine)
    key = _key()
    name = _server_name(key)
    with locked("repository"):
        state = _served(engine, name)
        if state is None:
            where = folder() / "repository" / key
            if not where.exists():
                _build(engine, where)
            state = _serve(engine, name, where)
    return state


def remove_servers(engine: Engine) -> None:
    """Stop serving, whatever recipes are served."""
    here = f"label={containers.CACHE}={cache_id()}"
    served = engine.ids("ps", "-aq", "--filter", here, "--filter", f"label={containers.REPOSITORY}")
    if served:
        engine.docker("rm", "-f", *served)


def _server_name(key: str) -> str:
    return f"gpuhost-lab-repository-{cache_id()}-{key}"


def _key() -> str:
    here = Path(__file__).parent
    recipe = hashlib.sha256(str(int(time.time() / FRESH_SECONDS)).encode())
    for path in [Path(__file__), SERVER, cards.PROGRAM, *sorted((here / "packages").rglob("*"))]:
        if path.is_file() and "__pycache__" not in path.parts:
            recipe.update(path.read_bytes())
    return recipe.hexdigest()[:12]


def _build(engine: Engine, where: Path) -> None:
    need("gpg")
    progress("building the apt repositories")
    where.parent.mkdir(parents=True, exist_ok=True)
    served = engine.docker("ps", "-a", "--format", "{{.Names}}").split()
    for old in where.parent.iterdir():
        # Hosts that were booted with an older recipe still download from its server.
        if _server_name(old.name) not in served:
            shutil.rmtree(old)
    beside = where.with_suffix(".part")
    www = beside / "www"
    www.mkdir(parents=True)
    with (
        tempfile.TemporaryDirectory(dir=folder(), prefix="build-") as scratch,
        signers(keys_folder(), "docker", "toolkit", "nvidia", "mirror") as keys,
    ):
        debs = _download(engine, Path(scratch) / "debs")
        _docker(www / "docker-ce/linux/debian", debs, keys["docker"], Path(scratch))
        _toolkit(www / "libnvidia-container", keys["toolkit"])
        _nvidia(www / "cuda/repos", keys["nvidia"])
        mirrors.write_stale(www, images.RELEASES, keys["mirror"])
        state = {
            f"{name}_key_fingerprint": keys[name].fingerprint
            for name in ("docker", "toolkit", "nvidia")
        }
    sent = mirrors.passed_on(_archives(engine), images.RELEASES)
    (beside / "passed-on.json").write_text(json.dumps(sent, indent=2))
    (www / STATE).write_text(json.dumps(state))
    shutil.copy(SERVER, beside / SERVER.name)
    beside.rename(where)


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


def _nvidia(where: Path, key: Signer) -> None:
    for number in images.NUMBER_OF.values():
        flat = where / f"debian{number}/x86_64"
        built = [package.build(flat) for package in nvidia.packages()]
        Suite(flat, "", {"": built}, "NVIDIA", "NVIDIA CUDA").write_flat(key)
        (flat / nvidia.KEY_FILES[number]).write_text(key.public_key())


def _download(engine: Engine, debs: Path) -> Path:
    """Debian's own packages, fetched inside each release."""
    for release in images.RELEASES:
        wanted = docker.SOURCES["own"] + (docker.SOURCES["trixie"] if release == "trixie" else ())
        where = debs / release
        where.mkdir(parents=True)
        script = f"apt-get -q update && cd /debs && apt-get -q download {' '.join(wanted)}"
        containers.run_once(engine, images.reference(release), script, {where: "/debs"})
    return debs


def _archives(engine: Engine) -> dict[str, str]:
    """Where the hosts' own packages come from: the first is Debian, the second its security."""
    script = "sed -n 's/^URIs: //p' /etc/apt/sources.list.d/debian.sources"
    said = containers.run_once(engine, images.reference("trixie"), script, {}).split()
    urls = [f"{url.rstrip('/')}/" for url in said]
    return dict(zip(("debian", "debian-security"), urls, strict=True))


def _served(engine: Engine, name: str) -> RepositoryState | None:
    shown = engine.run(
        "inspect", "-f", f'{{{{index .Config.Labels "{network.ADDRESS}"}}}}', name, check=False
    )
    if shown.returncode != 0:
        return None
    engine.docker("start", name)
    return _answer(shown.stdout.strip())


def _serve(engine: Engine, name: str, where: Path) -> RepositoryState:
    proxies = [name for name in ("http_proxy", "https_proxy") if name in os.environ]
    with network.free_address(engine) as address:
        engine.docker(
            "run", "-d", "--name", name, "--network", network.NAME, "--ip", address,
            f"--label={containers.REPOSITORY}",
            *containers.labels("repository", None, address), f"--volume={where}:/lab:ro",
            *(f"--env={name}" for name in proxies),
            images.reference("trixie"), "python3", f"/lab/{SERVER.name}", "/lab",
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
