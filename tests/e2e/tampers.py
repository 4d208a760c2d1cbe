"""Changes to a host by hand, and the findings that the drift check must report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.lab.containers import SWAP_FOLDER

APP = "english-listening-trainer"
HOME = f"/opt/gpuhost/{APP}"
CURRENT = f"{HOME}/current"
SITE = f"/etc/nginx/conf.d/gpuhost-{APP}.conf"
CERTIFICATE = f"/etc/gpuhost/tls/{APP}"
ENGINE_DROP_IN = "/etc/systemd/system/docker.service.d"
DROP_IN = f"/etc/systemd/system/gpuhost-backup-{APP}.service.d"
# A disk of this host, in its /etc/fstab.
MOUNT = "/srv/data"
FSTAB = f"tmpfs {MOUNT} tmpfs size=16m,nofail 0 0"
# If this file exists, the lab's nvidia-smi prints its content and nothing else.
FAILURE = "/lab/card/smi/failure"
SWAP_FILE = f"{SWAP_FOLDER}/swapfile"
# As the kernel prints it. All lab hosts share one kernel and its log, so a program in front of
# dmesg prints this line on one host only.
XID = "NVRM: Xid (PCI:0000:05:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
DMESG = "/usr/local/sbin/dmesg"
IMAGE = f"$(docker inspect -f '{{{{.Image}}}}' {APP}-app-1)"
TAG = (
    f"$(docker image ls --format '{{{{.Repository}}}}:{{{{.Tag}}}}' 'gpuhost/{APP}/app' | head -1)"
)


@dataclass(frozen=True)
class Tamper:
    """One change by hand.

    + by: the command that makes it
    + finds: the ids of all findings that are new after it
    + repair: the command that undoes what gpuhost does not repair; "": the next deploy repairs it
    + hides: a usual finding that cannot be determined meanwhile
    """

    what: str
    by: str
    finds: frozenset[str]
    repair: str = ""
    hides: str = ""


def tamper(what: str, by: str, *finds: str, repair: str = "", hides: str = "") -> Tamper:
    return Tamper(what, by, frozenset(finds), repair, hides)


def of_app(*aspects: str) -> Iterator[str]:
    return (f"app.{APP}.{aspect}" for aspect in aspects)


# The changes of one group are made one after the other, and repaired by one run of the deploy.
PACKAGES = (
    tamper("a hold is removed", "apt-mark unhold nvidia-container-toolkit", "toolkit.held"),
    tamper(
        "a package is removed",
        "dpkg --force-depends --remove docker-buildx-plugin",
        "docker.buildx",
        "docker.packages",
    ),
    tamper(
        "Docker's sources file is deleted",
        "rm /etc/apt/sources.list.d/docker.sources",
        "docker.repository",
    ),
    tamper(
        "the toolkit's repository is edited",
        "echo '# by hand' >>/etc/apt/sources.list.d/nvidia-container-toolkit.sources",
        "toolkit.repository",
    ),
    tamper(
        "automatic updates are not configured", "rm /etc/apt/apt.conf.d/*gpuhost*", "system.updates"
    ),
    tamper(
        "an apt source is added",
        "echo 'deb [trusted=yes] http://packages.example.invalid/ stable main' "
        ">/etc/apt/sources.list.d/somebodys.list",
        "apt.sources",
        repair="rm /etc/apt/sources.list.d/somebodys.list",
    ),
)
ENGINE = (
    tamper(
        "a key of daemon.json is changed",
        "sed -i s/10m/20m/ /etc/docker/daemon.json",
        "docker.config",
        "docker.live",
    ),
    tamper("the mode of a file is changed", "chmod 666 /etc/docker/daemon.json", "system.files"),
    tamper(
        "the engine gets a drop-in",
        f"mkdir -p {ENGINE_DROP_IN} && printf '[Service]\nNice=1\n' >{ENGINE_DROP_IN}/a.conf",
        "watch.engine_units",
        repair=f"rm {ENGINE_DROP_IN}/a.conf; systemctl daemon-reload",
    ),
    tamper(
        "an account can use the engine",
        "useradd -G docker somebody",
        "watch.files",
        repair="userdel somebody",
    ),
    tamper("the engine does not start at boot", "systemctl disable docker", "docker.engine"),
    tamper("the CDI specification is deleted", "rm -f /var/run/cdi/nvidia.yaml", "toolkit.cdi"),
)
LIVE = (
    tamper(
        "the running engine has another flag",
        "cp -p /etc/docker/daemon.json /root/kept && "
        "sed -i '/live-restore/s/true/false/' /etc/docker/daemon.json && "
        "systemctl restart docker && cp -p /root/kept /etc/docker/daemon.json",
        "docker.live",
    ),
)
FIREWALL = (
    tamper(
        "a rule is added",
        "ufw allow 9999/tcp",
        "firewall.foreign",
        repair="ufw delete allow 9999/tcp",
    ),
    tamper("a chain is flushed", "iptables -F DOCKER-USER", "firewall.published"),
    tamper("the firewall is disabled", "ufw disable", "firewall.enabled"),
)
SYSTEM = (
    tamper(
        "the host's name does not resolve",
        'sed -i "/$(uname -n)/d" /etc/hosts || :',
        "system.hostname",
    ),
    tamper(
        "a card falls off the bus",
        f'printf "#!/bin/sh\\necho \\"{XID}\\"\\n" >{DMESG} && chmod +x {DMESG}',
        "nvidia.errors",
        repair=f"rm {DMESG}",
    ),
    tamper(
        "a reboot is required",
        "touch /run/reboot-required",
        "system.reboot",
        repair="rm /run/reboot-required",
    ),
    tamper(
        "a unit has failed",
        "systemd-run --unit=broken --wait false || :",
        "system.units",
        repair="systemctl reset-failed broken",
    ),
    tamper(
        "sshd gets another port at its next start",
        "echo Port 2222 >/etc/ssh/sshd_config.d/port.conf",
        "system.ssh",
        "firewall.ssh",
        "watch.files",
        repair="rm /etc/ssh/sshd_config.d/port.conf",
    ),
    tamper("persistence mode is off", "nvidia-smi -pm 0", "nvidia.persistence"),
    tamper(
        "a disk of fstab is not mounted",
        "mkdir -p /data && echo '/dev/vdz /data ext4 nofail 0 2' >>/etc/fstab",
        "disk.mounts",
        repair="sed -i /vdz/d /etc/fstab",
    ),
    tamper(
        "the owner of a file is changed",
        "chown nobody /etc/gpuhost/firewall/published.v4",
        "system.files",
    ),
)
TOOLKIT = (
    tamper(
        "Docker's key is damaged",
        "echo damaged >/etc/apt/keyrings/docker.asc",
        "docker.repository",
    ),
    tamper(
        "the program of the runtime is removed",
        "rm /usr/bin/nvidia-container-runtime",
        "toolkit.runtime",
    ),
    tamper(
        "the CDI specification is not refreshed",
        "systemctl disable --now nvidia-cdi-refresh.path",
        "toolkit.cdi",
    ),
    tamper(
        "the record of the GPU test is missing", "rm /var/lib/gpuhost/toolkit.json", "toolkit.proof"
    ),
)
BOOT = (
    tamper(
        "a kernel without the driver's module",
        "mkdir -p /lib/modules/6.1.0-99-amd64 && touch /boot/vmlinuz-6.1.0-99-amd64",
        "nvidia.next_boot",
        repair="rm -r /lib/modules/6.1.0-99-amd64 /boot/vmlinuz-6.1.0-99-amd64",
    ),
    tamper("a file system is unmounted", f"umount {MOUNT}", "disk.mounts", repair=f"mount {MOUNT}"),
    tamper(
        "the firewall of containers is not loaded at boot",
        "systemctl disable gpuhost-firewall",
        "firewall.published",
    ),
    tamper(
        "sshd's configuration is broken",
        "echo Prot 22 >/etc/ssh/sshd_config.d/a.conf",
        "system.ssh",
        "watch.files",
        repair="rm /etc/ssh/sshd_config.d/a.conf",
    ),
)
DRIVER = (
    tamper(
        "the driver is upgraded while the old one is loaded",
        f"printf '18\nFailed to initialize NVML: Driver/library version mismatch\n' >{FAILURE}",
        "nvidia.driver",
        repair=f"rm {FAILURE}",
        hides="nvidia.branch",
    ),
)
APP_FILES = (
    tamper(
        "the Compose file is edited", f"echo '# by hand' >>{CURRENT}/compose.yaml", *of_app("files")
    ),
    tamper("the site is edited", f"echo '# by hand' >>{SITE}", *of_app("site")),
    tamper(
        "the certificate expires soon",
        f"openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 3 -subj "
        f"/CN=x -keyout {CERTIFICATE}/privkey.pem -out {CERTIFICATE}/fullchain.pem",
        *of_app("certificate"),
    ),
    tamper(
        "its backup's timer is stopped",
        f"systemctl stop gpuhost-backup-{APP}.timer",
        *of_app("backups"),
    ),
    tamper(
        "a container gets another memory limit",
        f"docker update --memory 64m --memory-swap 64m {APP}-app-1",
        *of_app("live"),
    ),
    tamper(
        "the owner of a data directory is changed",
        f"chown 12345:12345 {HOME}/shared/data",
        *of_app("directories"),
    ),
    tamper("nginx is stopped", "systemctl stop nginx", "nginx.running"),
)
APP_SECRET = (
    tamper("a secret is added", f"echo ADDED=1 >>{CURRENT}/secrets.env", *of_app("files")),
    tamper(
        "a container joins another network",
        f"docker network connect bridge {APP}-app-1",
        *of_app("live"),
    ),
)
APP_OVERRIDE = (
    tamper(
        "what runs is edited",
        f"echo >>{CURRENT}/compose.json",
        *of_app("files"),
    ),
    tamper("the site is removed", f"rm {SITE}", *of_app("site")),
    tamper("an image's tag is removed", f"docker image rm -f {TAG}", *of_app("images")),
    tamper(
        "a container does not start at boot",
        f"docker update --restart no {APP}-app-1",
        *of_app("live"),
    ),
    tamper("a container is stopped", f"docker stop {APP}-app-1", *of_app("containers", "ports")),
)
APP_MODE = (
    tamper("everybody can read the secrets", f"chmod 644 {CURRENT}/secrets.env", *of_app("files")),
    tamper(
        "a backup fails",
        f"mkdir -p {DROP_IN} && printf '[Service]\nExecStart=\nExecStart=/bin/false\n' "
        f">{DROP_IN}/broken.conf && systemctl daemon-reload && "
        f"{{ systemctl start gpuhost-backup-{APP} || :; }}",
        *of_app("backups"),
        "watch.files",
        repair=f"rm -r {DROP_IN} && systemctl daemon-reload && "
        f"systemctl start gpuhost-backup-{APP}",
    ),
    tamper(
        "nginx is masked",
        "systemctl mask --now nginx",
        "nginx.running",
        "system.masked",
    ),
    tamper("a container is removed", f"docker rm -f {APP}-app-1", *of_app("containers", "ports")),
)
APP_CONTAINERS = (
    tamper("an image's tag is moved", f"docker tag stand-in/python {TAG}", *of_app("images")),
    tamper(
        "another container publishes a public port",
        "docker run -d --name foreign -p 8899:8899 stand-in/python sleep 100000",
        "docker.published",
        "firewall.closed",
        repair="docker rm -f foreign",
    ),
    tamper(
        "an additional container of the app",
        f"docker run -d --name extra --label com.docker.compose.project={APP} --label "
        f"com.docker.compose.service=app --label com.docker.compose.oneoff=False {IMAGE} "
        "sleep 100000",
        *of_app("containers", "live"),
        repair="docker rm -f extra",
    ),
)
# All hosts of a machine share the swap of its kernel: tests/e2e/test_swap.py makes these changes.
SWAP = (
    tamper("swap is off", f"swapoff {SWAP_FILE}", "swap.size"),
    tamper("swap is not enabled at boot", f"sed -i '\\#{SWAP_FILE}#d' /etc/fstab", "swap.boot"),
    tamper("everybody can read the swap file", f"chmod 644 {SWAP_FILE}", "swap.mode"),
    tamper("swappiness is changed", "sysctl -q -w vm.swappiness=60", "swap.swappiness"),
)
GROUPS = {
    "packages": PACKAGES,
    "toolkit": TOOLKIT,
    "driver": DRIVER,
    "boot": BOOT,
    "engine": ENGINE,
    "live": LIVE,
    "firewall": FIREWALL,
    "system": SYSTEM,
    "app-files": APP_FILES,
    "app-secret": APP_SECRET,
    "app-override": APP_OVERRIDE,
    "app-mode": APP_MODE,
    "app-containers": APP_CONTAINERS,
}
