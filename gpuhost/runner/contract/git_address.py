"""Addresses of repositories: of an app's source, and of its submodules."""

from __future__ import annotations

# Nothing in one begins with "-": git and ssh would take it for an option.
USER = "[A-Za-z0-9_][A-Za-z0-9_.-]*"
LOGIN = r"[A-Za-z0-9_:][^/\s\x00-\x1f\x7f]*"
HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][A-Za-z0-9_.-]*)(?::[0-9]+)?"
# A regular expression: https://…, ssh://… or git@host:path.
GIT_ADDRESS = (
    rf"(?:(?:https?|ssh)://(?:{LOGIN}@)?{HOST}/|{USER}@{HOST}:[A-Za-z0-9_./~])[^\s\x00-\x1f\x7f]*"
)
