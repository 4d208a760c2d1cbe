"""Every setting with its default: as group_data/all.py, and as a reference page."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from pydantic.fields import FieldInfo

from gpuhost.settings import fields
from gpuhost.settings.allowed_values import describe_allowed, unit_of

NOUNS = {
    "adopt": "A machine that was used before",
    "gpu": "The GPU",
    "cuda": "CUDA",
    "system": "System",
    "proxy": "HTTP proxy",
    "apt": "Where packages come from",
    "nvidia": "NVIDIA driver",
    "toolkit": "NVIDIA Container Toolkit",
    "docker": "Container engine",
    "swap": "Swap",
    "firewall": "Firewall",
    "disk": "Disk",
    "memory": "Memory",
    "apps": "Apps",
    "app": "Apps",
    "build": "Builds",
    "drift": "Drift",
}

DEFAULTS_HEAD = '''"""Every setting with its default, generated from gpuhost's code.

Set your own values in group_data/GROUP.py for a group of your inventory, or at a host in the
inventory: both override this file. docs/settings.md lists the same settings.
"""
'''

PAGE_HEAD = """# Settings

Every setting of a host. Generated from `gpuhost/settings/settings.py` by `make docs`.

Precedence, highest first:

1. `--data KEY=VALUE` on the command line (quote text twice: `--data 'cuda="12.1"'`);
2. the host's own data in the inventory, `("gpu1.example.com", {"swap_size_gb": 16})`;
3. its groups, `group_data/GROUP.py`; a later group overrides an earlier one;
4. `group_data/all.py`, which lists every setting with its default.

A host with an invalid value, with settings that exclude each other, or with a misspelled name
(`swap_sizegb`) is skipped: one line names the setting, the allowed values and the place where it is
set. The other hosts continue. Your own data and pyinfra's (`ssh_…`, `_sudo`) are ignored. pyinfra
reads `group_data/` of the current directory and of the inventory's directory.
"""


def _by_noun() -> Iterator[tuple[str, list[tuple[str, FieldInfo]]]]:
    for title, group in groupby(fields().items(), lambda item: NOUNS[item[0].partition("_")[0]]):
        yield title, list(group)


def defaults_file() -> str:
    """group_data/all.py: every default, under a comment with its meaning."""
    parts = [DEFAULTS_HEAD]
    for title, group in _by_noun():
        rule = "-" * (98 - len(title))
        parts.append(f"\n# {title} {rule}"[:100].rstrip() + "\n")
        parts += [
            f"\n{_comment(field)}\n{name} = {literal(field.default)}\n" for name, field in group
        ]
    return "".join(parts)


def _comment(field: FieldInfo) -> str:
    words = str(field.description)
    if field.annotation is not bool:
        words += f" Allowed: {describe_allowed(field)}."
    lines = textwrap.wrap(words, 97)
    return "\n".join(f"# {line}" for line in lines)


def literal(value: Any) -> str:
    """A default as Python source: lists for tuples, double quotes."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(literal, value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def settings_page() -> str:
    """docs/settings.md."""
    parts = [PAGE_HEAD]
    for title, group in _by_noun():
        parts.append(
            f"\n## {title}\n\n| setting | default | allowed | meaning |\n|---|---|---|---|\n"
        )
        parts += [_row(name, field) for name, field in group]
    return "".join(parts)


def _row(name: str, field: FieldInfo) -> str:
    unit = unit_of(field)
    default = f"`{literal(field.default)}`" + (
        f" {unit}" if unit and field.default != "auto" else ""
    )
    cells = (f"`{name}`", default, describe_allowed(field), str(field.description))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"
