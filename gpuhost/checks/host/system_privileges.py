"""gpuhost is root on the host."""

from __future__ import annotations

import re

from gpuhost.checks.finding import Verdict, fail, ok
from gpuhost.checks.registry import check
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

NOPASSWD = (
    "log in as root, give the user NOPASSWD sudo, or run pyinfra with --sudo --same-sudo-password"
)
PASSWORD = re.compile(r"password is required|interactive authentication|not found|timed out")
# sudo(8) and sudo-rs, in their own words.
SUDO_FIXES = (
    (r"must have a tty|tty is required", "visudo: remove requiretty, or Defaults:USER !requiretty"),
    (r"not in the sudoers|not allowed|may not run", "log in as root, or visudo: add the user"),
    (r"setuid|nosuid|owned by uid", "chown root:root /usr/bin/sudo; chmod 4755 /usr/bin/sudo"),
    (r"parse error|syntax error|sudoers sources", "as root: visudo -c; correct the file"),
)


@check("system.privileges", "gpuhost is root on the host, directly or by sudo.")
def privileges(snapshot: Snapshot, settings: Settings) -> Verdict:
    if snapshot.system.root:
        return ok("root by sudo" if snapshot.system.sudo else "root")
    words = snapshot.system.sudo_refusal
    return fail(
        "root, or sudo",
        "this user is not root, and sudo asks for a password or is not installed"
        if not words or PASSWORD.search(words)
        else "this user is not root, and sudo refuses",
        evidence=words,
        fix=next((fix for text, fix in SUDO_FIXES if re.search(text, words)), NOPASSWD),
    )
