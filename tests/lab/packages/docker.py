"""Docker's own repository: Debian's engine under the names of Docker's packages."""

from __future__ import annotations

from pathlib import Path

from tests.lab.packages.deb import Content, Package, unpack
from tests.lab.packages.scripts import maintainer_scripts

UNITS = Path(__file__).with_name("docker-units")
# What Debian packages of which release each set of files comes from. Debian 13's binaries run on
# Debian 12 too, except runc, which needs its C library.
SOURCES = {
    "trixie": ("docker.io", "docker-cli", "containerd", "docker-buildx", "docker-compose"),
    "own": ("runc", "tini"),
}
ENGINE = "26.1.5"
CONTAINERD = "1.7.24"
BUILDX = "0.13.1"
COMPOSE = "2.26.1"

DOCKER_GROUP = "getent group docker >/dev/null || groupadd --system docker\n"


def packages(debs: Path, release: str, number: str, scratch: Path) -> list[Package]:
    """The five packages of a release.

    + debs: folder with Debian's packages, in a folder a release
    + release, number: such as "bookworm", "12"
    + scratch: where they are unpacked
    """
    root = scratch / release
    for name in SOURCES["trixie"]:
        unpack(_one(debs / "trixie", name), root)
    for name in SOURCES["own"]:
        unpack(_one(debs / release, name), root)
    suffix = f"-1~debian.{number}~{release}"
    return [
        _engine(root, f"5:{ENGINE}{suffix}"),
        _client(root, f"5:{ENGINE}{suffix}"),
        _containerd(root, f"{CONTAINERD}-1"),
        _plugin(root, "docker-buildx", f"{BUILDX}{suffix}"),
        _plugin(root, "docker-compose", f"{COMPOSE}{suffix}"),
    ]


def _engine(root: Path, version: str) -> Package:
    units = "docker.service docker.socket"
    return Package(
        "docker-ce",
        version,
        fields={
            "Depends": "containerd.io (>= 1.6.24), docker-ce-cli, iptables, libc6 (>= 2.34), "
            "libsystemd0",
            "Recommends": "docker-buildx-plugin, docker-compose-plugin",
            "Conflicts": "docker (<< 1.5~), docker.io, lxc-docker",
            "Replaces": "docker (<< 1.5~), docker.io, lxc-docker",
        },
        files={
            "/usr/bin/dockerd": Content(root / "usr/sbin/dockerd", 0o755),
            "/usr/bin/docker-proxy": Content(root / "usr/sbin/docker-proxy", 0o755),
            "/usr/bin/docker-init": Content(root / "usr/bin/tini-static", 0o755),
            "/lib/systemd/system/docker.service": Content(UNITS / "docker.service"),
            "/lib/systemd/system/docker.socket": Content(UNITS / "docker.socket"),
        },
        scripts=maintainer_scripts(units, before=DOCKER_GROUP),
    )


def _client(root: Path, version: str) -> Package:
    return Package(
        "docker-ce-cli",
        version,
        fields={
            "Depends": "libc6 (>= 2.34)",
            "Recommends": "docker-buildx-plugin, docker-compose-plugin",
            "Conflicts": "docker (<< 1.5~), docker-cli, docker.io (<= 26.1.5+dfsg1-999)",
            "Replaces": "docker (<< 1.5~), docker-cli",
        },
        files={"/usr/bin/docker": Content(root / "usr/bin/docker", 0o755)},
    )


def _containerd(root: Path, version: str) -> Package:
    names = ("containerd", "containerd-shim-runc-v2", "ctr")
    files = {f"/usr/bin/{name}": Content(root / "usr/bin" / name, 0o755) for name in names}
    return Package(
        "containerd.io",
        version,
        fields={
            "Depends": "libc6 (>= 2.34), libseccomp2 (>= 2.5.0)",
            "Provides": "containerd, runc",
            "Conflicts": "containerd, runc",
            "Replaces": "containerd, runc",
        },
        files={
            **files,
            "/usr/bin/runc": Content(root / "usr/sbin/runc", 0o755),
            "/lib/systemd/system/containerd.service": Content(UNITS / "containerd.service"),
            "/etc/containerd/config.toml": Content(b'disabled_plugins = ["cri"]\n'),
        },
        scripts=maintainer_scripts("containerd.service"),
    )


def _plugin(root: Path, name: str, version: str) -> Package:
    path = f"usr/libexec/docker/cli-plugins/{name}"
    return Package(
        f"{name}-plugin",
        version,
        fields={"Depends": "libc6 (>= 2.34)", "Enhances": "docker-ce-cli", "Conflicts": name},
        files={f"/{path}": Content(root / path, 0o755)},
    )


def _one(folder: Path, name: str) -> Path:
    return next(folder.glob(f"{name}_*.deb"))
