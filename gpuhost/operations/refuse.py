"""Refuse a change and print the reason, or print what a change stops."""

from __future__ import annotations

from pyinfra import host, logger


def refuse(noun: str, reason: str) -> None:
    """Change nothing, print why, and let the deploy continue: the verification at its end fails
    with the same reason.
    """
    logger.warning(f"{host.print_prefix}{noun}: not changed: {reason}")
    host.noop(f"{noun}: {reason}")


class ChangeRefused(Exception):
    """Raised before an operation yields its first command. The message is the reason."""


def tell(noun: str, effect: str) -> None:
    """Print what an allowed change stops: with the plan, and again before the change."""
    logger.warning(f"{host.print_prefix}{noun}: {effect}")
