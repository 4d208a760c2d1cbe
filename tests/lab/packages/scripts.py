"""Maintainer scripts of packages with systemd units."""

from __future__ import annotations

START = """#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
{before}deb-systemd-helper unmask {units} >/dev/null || true
deb-systemd-helper enable {units} >/dev/null || true
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    deb-systemd-invoke start {units} >/dev/null || true
fi
"""
STOP = """#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    deb-systemd-invoke stop {units} >/dev/null || true
fi
"""
FORGET = """#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
fi
if [ "$1" = purge ]; then
    deb-systemd-helper purge {units} >/dev/null || true
fi
"""


RELOAD = """#!/bin/sh
set -e
[ ! -d /run/systemd/system ] || systemctl daemon-reload
"""


def maintainer_scripts(units: str = "", *, before: str = "") -> dict[str, str]:
    """Scripts that enable, start, stop and forget units.

    + units: apart by space; none: systemd is told that there are new ones, and starts none
    + before: shell to run before the units are enabled
    """
    if not units:
        return {"postinst": RELOAD, "postrm": RELOAD}
    return {
        "postinst": START.format(units=units, before=before),
        "prerm": STOP.format(units=units),
        "postrm": FORGET.format(units=units),
    }
