"""The reference page of checks: ids by noun, and what ok means."""

from __future__ import annotations

from itertools import groupby

from gpuhost.checks.deployed import all_deployed_checks, host_checks
from gpuhost.checks.preflight import all_app_checks
from gpuhost.checks.registry import all_checks

HEAD = """# Checks

What `gpuhost check` and the end of every deploy check.
Generated from `gpuhost/checks/` by `make docs`.

A finding is `ok`; `warn` or `fail`, with a fix; `skip` if it does not apply to the host; or
`unknown` if it could not be read. It always has a reason. The checks compare with the
[settings](settings.md).
"""

BEFORE_A_RELEASE = """
## app, before a release

What `deploys/app.py` checks on each host before it changes anything: if one fails or is unknown,
the release is refused.

| id | ok means |
|---|---|
"""

RELEASED = """
## app, after a release

What `gpuhost drift` checks in addition, for every app that is released on the host or listed in
`apps`.

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
