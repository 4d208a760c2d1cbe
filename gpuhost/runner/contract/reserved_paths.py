"""Directories of a host that no app may name as its own: the system's, the engine's, gpuhost's.

What an app names is created, gets its owner and mode, is rotated, or replaced by a restore.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable

from gpuhost.runner.contract.paths import APPS

SYSTEM, ENGINE, GPUHOST = "the system's", "the container engine's", "gpuhost's own"
HERE = "reserved on this host"
# Refused with everything in them, and with everything above them.
RESERVED = {
    **dict.fromkeys(
        (
            *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc"),
            *("/run", "/sbin", "/snap", "/sys", "/usr", "/var/run", "/var/lock", "/nix"),
            *("/swap", "/swap.img", "/swapfile", "/vmlinuz", "/initrd.img", "/var/snap"),
            *("/var/backups", "/var/mail", "/var/spool", "/var/cache/apt", "/var/cache/debconf"),
            *("/var/lib/apt", "/var/lib/cloud", "/var/lib/dbus", "/var/lib/dkms", "/var/lib/dpkg"),
            *("/var/lib/AccountsService", "/var/lib/chrony", "/var/lib/fail2ban"),
            *("/var/lib/fwupd", "/var/lib/grub", "/var/lib/initramfs-tools"),
            *("/var/lib/iptables", "/var/lib/letsencrypt", "/var/lib/libvirt"),
            *("/var/lib/logrotate", "/var/lib/lxc", "/var/lib/lxd", "/var/lib/machines"),
            *("/var/lib/netplan", "/var/lib/tailscale", "/var/lib/ufw", "/var/lib/wireguard"),
            *("/var/lib/NetworkManager", "/var/lib/nginx", "/var/lib/pam", "/var/lib/polkit-1"),
            *("/var/lib/private", "/var/lib/shim-signed", "/var/lib/snapd", "/var/lib/sudo"),
            *("/var/lib/systemd", "/var/lib/ubuntu-advantage", "/var/lib/ucf"),
            *("/var/lib/unattended-upgrades", "/var/lib/update-notifier"),
            *("/var/log/apt", "/var/log/audit", "/var/log/installer", "/var/log/journal"),
            *("/var/log/letsencrypt", "/var/log/nginx", "/var/log/private"),
            "/var/log/unattended-upgrades",
        ),
        SYSTEM,
    ),
    **dict.fromkeys(
        (
            *("/opt/cni", "/opt/containerd", "/var/lib/buildkit", "/var/lib/containerd"),
            *("/var/lib/containers", "/var/lib/docker", "/var/lib/kubelet", "/var/lib/nvidia"),
        ),
        ENGINE,
    ),
    **dict.fromkeys((str(APPS), "/var/lib/gpuhost"), GPUHOST),
}
# Of what is the system's, or a login's: what only root may read. The engine's state in /run has the
# environment of every container.
SYSTEM_SECRETS = (
    *("/etc/gshadow", "/etc/gshadow-", "/etc/shadow", "/etc/shadow-", "/etc/sudoers.d"),
    *("/etc/NetworkManager/system-connections", "/etc/apt/auth.conf", "/etc/apt/auth.conf.d"),
    *("/etc/ipsec.secrets", "/etc/kubernetes", "/etc/letsencrypt", "/etc/mysql/debian.cnf"),
    *("/etc/netplan", "/etc/openvpn", "/etc/ppp", "/etc/rancher", "/etc/ssh", "/etc/ssl/private"),
    *("/etc/wireguard", "/var/lib/rancher", "/var/lib/tailscale"),
    *("/root/.aws", "/root/.gnupg", "/root/.kube", "/root/.ssh", "/run/containerd", "/run/docker"),
    *("/var/backups", "/var/lib/letsencrypt", "/var/spool"),
)
# No file of a project may name these, nor what is in them, for Compose or a build to read as root.
SECRET = {
    **{path: owner for path, owner in RESERVED.items() if owner in (ENGINE, GPUHOST)},
    **dict.fromkeys(SYSTEM_SECRETS, SYSTEM),
}
# Each process and device, which Compose itself needs.
KERNEL = ("/dev", "/proc", "/sys")
# Only the directories themselves: other programs use them too.
SHARED_BY_ALL = (
    *("/", "/home", "/media", "/mnt", "/opt", "/root", "/srv", "/var", "/var/cache", "/var/lib"),
    *("/tmp", "/var/log", "/var/tmp"),  # noqa: S108
)
# In /var/log, also with the ending of a rotated one.
SYSTEM_LOGS = re.compile(
    r"(alternatives|auth|boot|bootstrap|cloud-init(-output)?|cron|daemon|dpkg|fail2ban|kern|mail|"
    r"ufw|user)\.(log|err|info|warn)([.-].*)?|(btmp|dmesg|faillog|lastlog|messages|secure|syslog|"
    r"wtmp)([.-].*)?"
)
# In a home directory: who can change these can log in, or is root.
OF_LOGINS = frozenset((".aws", ".config", ".docker", ".gnupg", ".kube", ".ssh"))
# Other names with a dot there are of shells and tools; these are of what apps use.
OF_MODELS = frozenset(
    (".cache", ".huggingface", ".insightface", ".keras", ".nv", ".ollama", ".torch", ".triton")
)
HOME = re.compile(r"/root|/home/[^/]+")
# Names that gpuhost gives to files beside an app's data.
OWN_PREFIX = ".gpuhost"
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def why_reserved(path: str, shared: str = "", more: Iterable[str] = ()) -> str:
    """Why an app may not name this path; "": it may.

    + path: absolute
    + shared: the directory of the app's own data; "": it has none here
    + more: further directories that are reserved on this host
    """
    if CONTROL.search(path):
        return "a path has no control characters"
    normal = posixpath.normpath(f"/{path.lstrip('/')}")
    if shared and is_within(normal, shared):
        return _own_name(normal[len(shared) :])
    for directory, owner in (*RESERVED.items(), *((one, HERE) for one in more)):
        if is_within(normal, directory):
            return f"{directory} is {owner}"
        if is_within(directory, normal):
            return f"{directory}, which is {owner}, is in it"
    if normal in SHARED_BY_ALL:
        return f"{normal} is for all programs; use a directory of the app in it"
    return _of_system(normal) or _of_login(normal) or _own_name(normal)


def why_secret(path: str, shared: str = "", more: Iterable[str] = ()) -> str:
    """Why Compose or a build may not read this absolute path as a file of the project; "": it may.

    + shared: the directory of the app's own data
    + more: where this host has the engine's data
    """
    normal = posixpath.normpath(f"/{path.lstrip('/')}")
    if normal == os.devnull or (shared and is_within(normal, shared)):
        return ""
    owners = (
        f"{directory} is {owner}"
        for directory, owner in (*SECRET.items(), *((one, ENGINE) for one in more))
        if is_within(normal, directory) or is_within(directory, normal)
    )
    kernel = (f"{one} is {SYSTEM}" for one in KERNEL if is_within(normal, one))
    return next(owners, "") or next(kernel, "") or _of_login(normal)


def is_within(path: str, directory: str) -> bool:
    return directory == "/" or path == directory or path.startswith(f"{directory}/")


def _of_system(path: str) -> str:
    if "lost+found" in path.split("/"):
        return "lost+found is of the file system"
    name = path.removeprefix("/var/log/").partition("/")[0]
    is_log = path.startswith("/var/log/") and SYSTEM_LOGS.fullmatch(name)
    return f"/var/log/{name} is {SYSTEM}" if is_log else ""


def _of_login(path: str) -> str:
    home = HOME.match(path)
    if not home:
        return ""
    names = path[home.end() :].split("/")[1:]
    if not names:
        return f"{path} is the home of a login; use a directory in it"
    is_hidden = names[0].startswith(".") and names[0] not in OF_MODELS
    return "it is of a login, not of the app" if is_hidden or OF_LOGINS & set(names) else ""


def _own_name(path: str) -> str:
    own = [name for name in path.split("/") if name.startswith(OWN_PREFIX)]
    return f"{own[0]}: gpuhost gives such names to its own files" if own else ""
