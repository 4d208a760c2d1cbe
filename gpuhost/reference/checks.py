"""Every check, by noun: its id, and what is so when it is ok."""

from __future__ import annotations

from itertools import groupby

from gpuhost.checks.registry import all_checks

HEAD = """# Checks

What `gpuhost check` and the end of every deploy look at.
Generated from `gpuhost/checks/` by `make docs`.

A finding is `ok`; `warn` or `fail`, with what to do about it; `skip` when it does not apply to the
host; `unknown` when it could not be read; the reason stands with it. The settings that the checks
compare with are in [settings.md](settings.md).
"""


def checks_page() -> str:
    """docs/checks.md."""
    parts = [HEAD]
    for noun, group in groupby(all_checks(), lambda check: check.noun):
        parts.append(f"\n## {noun}\n\n| id | ok means |\n|---|---|\n")
        parts += [f"| `{check.id}` | {check.meaning} |\n" for check in group]
    return "".join(parts)
