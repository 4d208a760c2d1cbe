"""GRUB's menu and its default entry, as GRUB itself reads grub.cfg.

What /etc/default/grub says takes effect with `update-grub` only; grub.cfg is what boots.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise

from gpuhost.domain.shell_words import shell_words

# What is read of grub.cfg (grep -E): the lines that make the menu, its kernels and its default.
LINES = (
    "^[[:space:]]*(menuentry |submenu |linux(16|efi)?[[:space:]]|module2?[[:space:]]"
    "|set default=|if |fi;?$|function |[}]$)"
)
KERNEL = re.compile(r".*/(?:vmlinuz|vmlinux|kernel)-([^\s$]+?)(?:\.efi\.signed)?")
SET_DEFAULT = re.compile(r'set default="([^"]*)"')
# grub-mkconfig adds these lines for titles as GRUB before 2.00 wrote them.
CORRECTION = re.compile(r"""if \[ "x\$default" = '([^']*)' \]; then default='([^']*)'; fi""")
NEXT, SAVED = "${next_entry}", "${saved_entry}"


@dataclass
class Entry:
    """A line of the menu.

    + certain: it is there on every machine: not inside a condition
    + kernel: the release that it boots; None: another system, or a kernel without a release
    + entries: of a submenu
    """

    title: str
    id: str = ""
    certain: bool = True
    kernel: str | None = None
    is_submenu: bool = False
    entries: list[Entry] = field(default_factory=list)


@dataclass(frozen=True)
class Menu:
    """grub.cfg, as far as it decides what boots.

    + default: what `set default` has; may be "${saved_entry}"
    + corrections: old titles of entries, and what GRUB takes for them
    """

    entries: tuple[Entry, ...]
    default: str
    corrections: dict[str, str]

    def boots(self, saved: str = "", following: str = "") -> Entry | None:
        """The entry that boots next; None: it cannot be told.

        + saved, following: saved_entry and next_entry of grubenv
        """
        default = following or (saved if self.default == SAVED else self.default)
        if "$" in default:
            return None
        return _chosen(list(self.entries), self.corrections.get(default, default))


def parse(text: str) -> Menu | None:
    """The menu of the lines of grub.cfg (LINES); None: there is no entry in them."""
    top: list[Entry] = []
    stack: list[Entry | None] = []
    conditions = 0
    default = "0"
    corrections: dict[str, str] = {}
    for line in (raw.strip() for raw in text.splitlines()):
        inside = next((entry for entry in reversed(stack) if entry), None)
        if line.startswith(("menuentry ", "submenu ")):
            entry = _entry(line, certain=conditions == 0)
            (inside.entries if inside else top).append(entry)
            stack.append(entry)
        elif line.startswith("function "):
            stack.append(None)
        elif line == "}":
            if stack:
                stack.pop()
        elif found := CORRECTION.findall(line):
            corrections.update(found)
        elif line.startswith("if ") and not re.search(r"\bfi;?$", line):
            conditions += not stack
        elif line in ("fi", "fi;"):
            conditions -= not stack and conditions > 0
        elif match := SET_DEFAULT.fullmatch(line):
            default = match[1] if match[1] != NEXT else default
        elif inside and not inside.is_submenu and inside.kernel is None:
            inside.kernel = _kernel(line)
    return Menu(tuple(top), default, corrections) if top else None


def _kernel(line: str) -> str | None:
    """`linux "/BOOT/ubuntu_ab@/vmlinuz-6.8.0-45-generic" root=ZFS=…`: the first word that is no
    option. None: another program, or a name that GRUB composes.
    """
    files = (word for word in shell_words(line)[1:] if not word.startswith("-"))
    match = KERNEL.fullmatch(next(files, ""))
    return match[1] if match else None


def _entry(line: str, certain: bool) -> Entry:
    """`menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple-…' {`."""
    words = shell_words(line.removesuffix("{"))
    pairs = pairwise(words)
    ids = (after for word, after in pairs if word in ("$menuentry_id_option", "--id"))
    is_submenu = words[0] == "submenu"
    return Entry(words[1] if len(words) > 1 else "", next(ids, ""), certain, None, is_submenu)


def _chosen(entries: list[Entry], default: str) -> Entry | None:
    """The entry of a default: a number, a title or an id, and after ">" the same of a submenu.

    grub-core/normal/menu.c: what names no entry of this menu is taken for the first one; a submenu
    that is chosen without a rest boots its own first entry.
    """
    for _ in range(16):
        first, rest = _split(default)
        number = re.match(r"\s*(\d{1,6})", first, re.ASCII)
        position = _numbered(entries, int(number[1])) if number else _named(entries, first)
        # A number counts the entries before it too, which may be there or not.
        relevant = entries[: position + 1] if number else entries[position : position + 1]
        if not relevant or not all(entry.certain for entry in relevant):
            return None
        entry = entries[position]
        if not entry.is_submenu:
            return entry
        entries, default = entry.entries, rest
    return None


def _numbered(entries: list[Entry], number: int) -> int:
    return number if number < len(entries) else 0


def _named(entries: list[Entry], name: str) -> int:
    same = (i for i, entry in enumerate(entries) if name and name in (entry.title, entry.id))
    return next(same, 0)


def _split(default: str) -> tuple[str, str]:
    """At the first ">"; a doubled one is a character of the title."""
    match = re.match(r"((?:[^>]|>>)*)(?:>(.*))?", default, re.DOTALL)
    if match is None:
        return default, ""
    return match[1].replace(">>", ">"), match[2] or ""
