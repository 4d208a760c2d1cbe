"""Every check, by noun: its id, and what is so when it is ok."""

from __future__ import annotations

from itertools import groupby

from gpuhost.checks.deployed import all_deployed_checks, host_checks
from gpuhost.checks.preflight import all_app_checks
from gpuhost.checks.registry import all_checks

HEAD = """# Checks

What `gpuhost check` and the end of every deploy look at.
Generated from `gpuhost/checks/` by `make docs`.

A finding is `ok`; `warn` or `fail`, with what to do about it; `skip` when it does not apply to the
host; `unknown` when it could not be read; the reason stands with it. The settings that the checks
compare with are in [settings.md](settings.md).
"""

BEFORE_A_RELEASE = """
## app, before a release

What `deploys/app.py` looks at on each host before anything changes: with one that fails or is
unknown the release does not begin.

| id | ok means |
|---|---|
"""

RELEASED = """
## app, as it stands

What `gpuhost drift` looks at beside all that: every app that the host has or lists in `apps`, by
its name.

| id | ok means |
|---|---|
"""


def checks_page() -> str:
    """docs/checks.md."""
    parts = [HEAD]
    for noun, group in groupby(all_checks(), lambda check: check.noun):
        parts.append(f"\n## {noun}\n\n| id | ok means |\n|---|---|\n")
        parts += [f"| `{check.id}` | {check.meaning} |\n" for check in group]
    parts.append(BEFORE_A_RELEASE)
    parts += [f"| `{check.id}` | {check.meaning} |\n" for check in all_app_checks()]
    parts.append(RELEASED)
    parts += [f"| `{check.id}` | {check.meaning} |\n" for check in all_deployed_checks()]
    parts += [f"| `{check.id}` | {check.meaning} |\n" for check in host_checks()]
    return "".join(parts)
