"""Refuse a change, and print the reason."""

from __future__ import annotations

from pyinfra import host, logger


def refuse(noun: str, reason: str) -> None:
    """Change nothing, print why, and let the deploy continue: the verification at its end fails
    with the same reason.
    """
    logger.warning(f"{host.print_prefix}{noun}: not changed: {reason}")
    host.noop(f"{noun}: {reason}")
