"""Root file systems of blank hosts, made by mmdebstrap and cached."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.lab.engine import LABEL, Engine
from tests.lab.process import LabError, need, progress, run
from tests.lab.state import folder, locked

RELEASES = ("bookworm", "trixie")
NUMBER_OF = {"bookworm": "12", "trixie": "13"}

# The packages of a new cloud server, and no others: no engine, no ufw, no gpg, no lspci.
INCLUDED = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "sudo",
    "iproute2",
    "iptables",
    "nftables",
    "ca-certificates",
    "procps",
    "kmod",
    "curl",
    "udev",
    "python3",
)
CUSTOMIZE = Path(__file__).with_name("blank.sh")


def reference(release: str) -> str:
    """The image's name; its tag changes with the recipe."""
    recipe = "\n".join([release, *INCLUDED, CUSTOMIZE.read_text()])
    return f"gpuhost-lab/{release}:{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def ensure(engine: Engine, *releases: str) -> None:
    """Provide the images of these releases, from the engine, the cache or mmdebstrap."""
    missing = [release for release in releases if not has(engine, reference(release))]
    if not missing:
        return
    with locked("images"), ThreadPoolExecutor() as pool:
        list(pool.map(lambda release: _import(engine, release), missing))


def has(engine: Engine, image: str) -> bool:
    """Whether the engine has an image of that name."""
    return bool(engine.ids("images", "-q", image))


def _import(engine: Engine, release: str) -> None:
    image = reference(release)
    if has(engine, image):
        return
    tar = folder() / "images" / f"{release}-{image.rpartition(':')[2]}.tar"
    if not tar.exists():
        _build(release, tar)
    progress(f"importing {image}")
    engine.docker("import", "--change", f"LABEL {LABEL}=image", str(tar), image, timeout=300)
    names = engine.docker(
        "images", "--format", "{{.Repository}}:{{.Tag}}", f"gpuhost-lab/{release}"
    ).split()
    for old in set(names) - {image}:
        # The image is needed while a host of another checkout is created from it.
        engine.run("rmi", old, check=False)


def _build(release: str, tar: Path) -> None:
    need("mmdebstrap")
    progress(f"building the root file system of Debian {NUMBER_OF[release]} (about a minute)")
    tar.parent.mkdir(parents=True, exist_ok=True)
    beside = tar.with_suffix(f".{release}.part")
    argv = ["mmdebstrap", "--variant=minbase", f"--include={','.join(INCLUDED)}", "--format=tar"]
    argv += [f"--customize-hook=sh {CUSTOMIZE} $1 {release}"]
    run([*argv, release, str(beside), *archives(release)], timeout=1200)
    beside.replace(tar)
    for old in tar.parent.glob(f"{release}-*.tar"):
        if old != tar:
            old.unlink()


def archives(release: str) -> list[str]:
    """The Debian archives of this machine; if it has none, mmdebstrap uses its own."""
    listed = run(
        ["apt-get", "indextargets", "--format", "$(LABEL)|$(REPO_URI)", "Created-By: Packages"],
        timeout=60,
        check=False,
    ).stdout
    uri_of = dict(line.split("|", 1) for line in reversed(listed.splitlines()))
    main, security = uri_of.get("Debian"), uri_of.get("Debian-Security")
    if main is None or security is None:
        return []
    return [
        f"deb {main} {release} main",
        f"deb {main} {release}-updates main",
        f"deb {security} {release}-security main",
    ]


def check_release(release: str) -> str:
    """Return the release; LabError lists the known ones if it is unknown."""
    if release not in RELEASES:
        raise LabError(f"release {release!r}: use one of {', '.join(RELEASES)}")
    return release
