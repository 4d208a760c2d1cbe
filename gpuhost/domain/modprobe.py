"""What modprobe's configuration keeps from being loaded: modprobe.d(5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

# `install MODULE COMMAND` runs a command instead of loading the module: these load nothing.
DOES_NOTHING = re.compile(r"(?:/usr)?/?(?:bin/)?(?:false|true)\b|:\s*$")
# Of two files with one name only the one in the first directory is read.
DIRECTORIES = ("/etc", "/run", "/usr/local/lib", "/lib")
COMMAND_LINE = "/proc/cmdline"


class Block(Enum):
    """How far a line keeps a module away (tried with kmod 30).

    + BY_DEVICE: `blacklist`: not loaded for a device; `modprobe NAME` still loads it
    + BY_NAME: `alias NAME off`: `modprobe NAME` does nothing; for a device it is still loaded
    + ALWAYS: `install NAME /bin/false`, module_blacklist=: neither
    """

    BY_DEVICE = "not loaded for a device"
    BY_NAME = "not loaded by its name"
    ALWAYS = "never loaded"


@dataclass(frozen=True)
class Line:
    """A line that keeps a module from being loaded.

    + module: its name with underscores, as /proc/modules has it
    + path: the file; "": not read
    """

    module: str
    block: Block
    text: str
    path: str = ""

    def __str__(self) -> str:
        return f"{self.text} ({self.path})" if self.path else self.text


def module_name(name: str) -> str:
    """nvidia-uvm and nvidia_uvm are one module."""
    return name.replace("-", "_")


def parse(listing: str, paths: Iterable[str] = ()) -> tuple[Line, ...]:
    """The lines that keep a module away.

    + listing: lines of modprobe.d, each as PATH:LINE or LINE alone
    + paths: all configuration files, with or without such a line: one hides others of its name
    """
    hidden = _hidden(paths)
    lines = (_line(text) for text in listing.splitlines())
    return tuple(line for line in lines if line and line.path not in hidden)


def from_command_line(text: str) -> Iterator[Line]:
    """What the kernel's command line keeps away: modprobe.blacklist= and module_blacklist=."""
    for word in text.split():
        key, _, names = word.partition("=")
        # The kernel itself refuses the modules of module_blacklist (kernel-parameters.txt).
        block = {"modprobe.blacklist": Block.BY_DEVICE, "module_blacklist": Block.ALWAYS}.get(key)
        if block:
            for name in names.split(","):
                yield Line(module_name(name), block, word, COMMAND_LINE)


def _line(text: str) -> Line | None:
    path, colon, rest = text.partition(":")
    if not (colon and path.startswith("/")):
        path, rest = "", text
    words = rest.split(None, 2)
    if len(words) < 2:
        return None
    verb, module = words[0], module_name(words[1])
    value = words[2].strip() if len(words) > 2 else ""
    block = None
    if verb == "blacklist":
        block = Block.BY_DEVICE
    elif verb == "alias" and value == "off":
        block = Block.BY_NAME
    elif verb == "install" and DOES_NOTHING.match(value):
        block = Block.ALWAYS
    return Line(module, block, rest.strip(), path) if block else None


def _hidden(paths: Iterable[str]) -> set[str]:
    paths = [path.replace("/usr/lib/", "/lib/") for path in paths]
    first: dict[str, str] = {}
    for directory in DIRECTORIES:
        for path in paths:
            if path.rpartition("/")[0] == f"{directory}/modprobe.d":
                first.setdefault(path.rpartition("/")[2], path)
    return {path for path in paths if first.get(path.rpartition("/")[2], path) != path}
