"""What systemd sets of the kernel's parameters at boot: of all lines the one that wins.

sysctl.d(5): files are read sorted by name, whatever their directory; a name in an earlier directory
hides the same in a later one, and an empty file hides it altogether. /etc/sysctl.conf counts only
where a link in /etc/sysctl.d names it: Debian 12 and Ubuntu have 99-sysctl.conf, Debian 13 has not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

SWAPPINESS = "vm.swappiness"
IP_FORWARD = "net.ipv4.ip_forward"
# Both are one value of the kernel (kernel.org, ip-sysctl).
FORWARDING = ("net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding")
# Applied whenever ufw starts (IPT_SYSCTL of /etc/default/ufw).
UFW_FILE = "/etc/ufw/sysctl.conf"
# Read after all others, and before it was called so.
SWAP_FILE = "/etc/sysctl.d/zz-gpuhost-swap.conf"
OLDER_SWAP_FILE = "/etc/sysctl.d/60-gpuhost-swap.conf"
OURS = (SWAP_FILE, OLDER_SWAP_FILE)
DIRECTORIES = (
    "/etc/sysctl.d",
    "/run/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d",
)
LINKED = {"/etc/sysctl.d/99-sysctl.conf": "/etc/sysctl.conf"}
REQUEST = Request(
    files=(*OURS, UFW_FILE),
    probes=(
        # Sizes and names of all files, and the lines that may concern what gpuhost sets.
        ProbeCommand(
            "sysctl_files",
            f"find -L {' '.join(DIRECTORIES)} -maxdepth 1 -name '*.conf' -printf '%s\\t%p\\n'"
            " -exec grep -aHnE 'swappiness|ip_forward|all.forwarding|^[^#;=]*[*?[]' {} +",
            at_once=True,
        ),
    ),
)


@dataclass(frozen=True)
class Assignment:
    """A line that sets a parameter. value: None: the line keeps systemd from setting it."""

    path: str
    line: int
    key: str
    value: str | None

    def __str__(self) -> str:
        target = LINKED.get(self.path)
        return f"{self.path}:{self.line}" + (f", a link to {target}" if target else "")


@dataclass(frozen=True)
class Sysctl:
    """The assignments of each file that is read, by its path; empty for a file without any.

    + of_ufw: those of ufw's own file, which systemd does not read
    """

    files: Mapping[str, tuple[Assignment, ...]]
    empty: frozenset[str] = frozenset()
    of_ufw: tuple[Assignment, ...] = ()

    def at_boot(self, key: str) -> Assignment | None:
        """The line that sets a parameter; None: systemd does not set it."""
        line = self.winner(key)
        return line if line and line.value is not None else None

    def winner(self, key: str) -> Assignment | None:
        """The line that decides: the last that names it, or else the last pattern that matches."""
        name = _normal(key)
        every = [a for path in self._in_order() for a in self.files[path]]
        exact = [a for a in every if a.key == name]
        matching = [a for a in every if a.value is not None and _matches(name, a.key)]
        return next(reversed(exact or matching), None)

    def with_file(self, path: str, text: str) -> Sysctl:
        """The same with a file replaced; an empty text removes it."""
        files = {p: lines for p, lines in self.files.items() if p != path}
        return replace(self, files={**files, path: tuple(_assignments(path, text))})

    def without(self, line: Assignment) -> Sysctl:
        """The same without one line."""
        kept = tuple(a for a in self.files[line.path] if a != line)
        return replace(self, files={**self.files, line.path: kept})

    def _in_order(self) -> list[str]:
        by_name: dict[str, str] = {}
        rank = {directory: n for n, directory in enumerate(DIRECTORIES)}
        for path in sorted(self.files, key=lambda p: rank.get(str(PurePosixPath(p).parent), 9)):
            by_name.setdefault(PurePosixPath(path).name, path)
        return [by_name[name] for name in sorted(by_name) if by_name[name] not in self.empty]

    @classmethod
    def read(cls, probes: Probes) -> Sysctl:
        probe = probes.get("sysctl_files")
        if probe.rc is None:
            raise NotRead("the files of sysctl.d: timed out")
        for line in probe.err.splitlines():
            if "No such file" not in line:
                raise NotRead(f"the files of sysctl.d: {line}")
        files: dict[str, list[Assignment]] = {}
        empty = set()
        for line in probe.out.splitlines():
            if match := re.fullmatch(r"(\d+)\t(/.+)", line):
                files.setdefault(match[2], [])
                empty |= {match[2]} if match[1] == "0" else set()
            elif match := re.fullmatch(r"(/[^:]+):(\d+):(.*)", line):
                found = _assignment(match[1], int(match[2]), match[3])
                files.setdefault(match[1], []).extend([found] if found else [])
        for path in OURS:
            if text := probes.file(path):
                files[path] = list(_assignments(path, text))
        return cls(
            {path: tuple(found) for path, found in files.items()},
            frozenset(empty),
            tuple(_assignments(UFW_FILE, probes.file(UFW_FILE) or "")),
        )


def _assignments(path: str, text: str) -> Iterator[Assignment]:
    lines = enumerate(text.splitlines(), 1)
    return filter(None, (_assignment(path, number, line) for number, line in lines))


def _assignment(path: str, number: int, line: str) -> Assignment | None:
    """`key = value`; `-key = value` ignores a failure, `-key` alone keeps patterns from the key."""
    text = line.strip()
    if not text or text[0] in "#;":
        return None
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals and not key.startswith("-"):
        return None
    words = value.split()
    return Assignment(
        path, number, _normal(key.removeprefix("-").strip()), " ".join(words) if equals else None
    )


def _normal(key: str) -> str:
    """With slashes. Of dots and slashes the first one separates, the other is part of names."""
    first = next((character for character in key if character in "./"), "/")
    return key if first == "/" else key.translate(str.maketrans("./", "/."))


def _matches(name: str, pattern: str) -> bool:
    names, patterns = name.split("/"), pattern.split("/")
    return len(names) == len(patterns) and all(map(fnmatchcase, names, patterns))
