"""The virtual machine's disk: Debian 13 with a kernel of its own, made by mmdebstrap and cached."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.lab import images
from tests.lab.keys import host_key, login_key
from tests.lab.process import need, progress, run
from tests.lab.state import folder, locked

NAME = "vm"
RELEASE = "trixie"
SIZE = "4G"
# Beside what a blank host has: what boots it, and a web server for tests in containers.
INCLUDED = (*images.INCLUDED, "linux-image-cloud-amd64", "initramfs-tools", "busybox-static")
# What provisioning installs from Debian lies in apt's cache, not installed, with the package lists
# of the day: the machine is emulated, and slow. Docker comes from the lab's own repository.
DOWNLOADED = ("ufw", "unattended-upgrades", "systemd-timesyncd")
CUSTOMIZE = Path(__file__).with_name("vm.sh")


@dataclass(frozen=True)
class Image:
    """What QEMU starts; the disk is a raw image, and not to be written to."""

    kernel: Path
    initrd: Path
    disk: Path


def ensure() -> Image:
    """Provide the image, from the cache or newly built."""
    where = folder() / "vm" / _recipe()
    with locked("vm"):
        if not where.exists():
            _build(where)
    return Image(where / "vmlinuz", where / "initrd.img", where / "disk.raw")


def _recipe() -> str:
    parts = [*INCLUDED, *DOWNLOADED, SIZE, CUSTOMIZE.read_text(), images.CUSTOMIZE.read_text()]
    parts += [host_key(NAME).public_line, login_key().public_line]
    parts.append(Path(__file__).read_text())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _build(where: Path) -> None:
    need("mmdebstrap")
    progress("building the disk of the virtual machine (a few minutes)")
    shutil.rmtree(where.parent, ignore_errors=True)
    beside = where.with_suffix(".part")
    beside.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=beside.parent, prefix="build-") as scratch:
        root = Path(scratch) / "root"
        _bootstrap(root)
        for name in ("vmlinuz", "initrd.img"):
            (found,) = root.glob(f"boot/{name}-*")
            shutil.copy(found, beside / name)
        disk = beside / "disk.raw"
        run(["mkfs.ext4", "-q", "-L", "root", "-d", str(root), str(disk), SIZE], timeout=600)
    beside.rename(where)


def _bootstrap(root: Path) -> None:
    keys = f"{host_key(NAME).private} {login_key().private}"
    download = (
        f"apt-get -q -y --no-install-recommends --download-only install {' '.join(DOWNLOADED)}"
    )
    argv = ["mmdebstrap", "--variant=minbase", "--format=directory"]
    argv += [f"--include={','.join(INCLUDED)}", "--skip=cleanup/apt"]
    argv += [
        f"--customize-hook={hook}"
        for hook in (
            "APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get clean",
            f"APT_CONFIG=$MMDEBSTRAP_APT_CONFIG {download}",
            f"sh {images.CUSTOMIZE} $1 {RELEASE}",
            f"sh {CUSTOMIZE} $1 {NAME} {keys}",
        )
    ]
    run([*argv, RELEASE, str(root), *images.archives(RELEASE)], timeout=1800)
