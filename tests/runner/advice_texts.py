"""Finds the advice in the code: every text that tells a person what to do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2] / "gpuhost"
# Of texts that are no `fix`, those that send a person to the host or to another verb.
TOLD = re.compile(
    r"\b(rm|chown) -R|\b(rm -r|mv \{)|docker (volume )?rm\b|delete it|nobody needs|"
    r": nothing is deleted|pyinfra …"
)
# What gpuhost itself runs.
SCRIPT = re.compile(r"\s*\w+=\$\(")
# What a shell script says.
SAID = re.compile(r"""\b(?:echo|refuse|say|stop) (["'])(.+?)\1""")
# A command, or an action on files of the host or on the app.
ACTION = re.compile(
    r"\b(rm|mv|chown|chmod|tar|sed|certbot|dpkg|apt-get|nginx|npx|npm|git config) (-?\w|[{/])|"
    r"docker (rm|start|restart|load|login|network|volume|builder|compose|tag)\b|"
    r"systemctl (?!status|show|cat)\w|pyinfra \w|gpuhost (?!check)\w|deploys/\w|"
    r"\b(delete|move|restore|release|roll back|unpack|free|stop|start|repair|remove|copy|create|"
    r"deleted|replace|reload|recreates?)\b"
)  # fmt: skip


def text(node: ast.expr) -> str | None:
    """{}: a value."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(text(part) or "{}" for part in node.values)
    return None


def _texts(node: ast.AST) -> Iterator[str]:
    """The texts of an expression, without those of what it formats."""
    if isinstance(node, ast.expr) and (found := text(node)) is not None:
        yield found
        return
    for child in ast.iter_child_nodes(node):
        yield from _texts(child)


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} | {
        n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)
    }


def _is_fix(name: str) -> bool:
    return "fix" in name.lower().split("_")


def _advice(tree: ast.Module, named: set[str]) -> Iterator[str]:
    """+ named: constants that are given as a fix, also in other modules"""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in ("fix", "next"):
            yield from _texts(node.value)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("Signature", "Rule"):
            last = node.args[2 if ast.unparse(node.func) == "Signature" else 1 :]
            yield from (found for part in last for found in _texts(part))
        elif isinstance(node, ast.FunctionDef) and _is_fix(node.name):
            yield from (found for part in node.body[1:] for found in _texts(part))
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value:
            targets = _names(node.targets[0] if isinstance(node, ast.Assign) else node.target)
            if any(_is_fix(name) or name in named for name in targets):
                yield from _texts(node.value)
    for found in _texts(tree):
        if TOLD.search(found):
            yield found


def _given(tree: ast.Module) -> Iterator[str]:
    """Constants that are given as a fix."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in ("fix", "next"):
            yield from (name for name in _names(node.value) if name.isupper())
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Signature", "Rule"):
            yield from (n for part in node.args for n in _names(part) if n.isupper())


def _docstrings(tree: ast.Module) -> set[str]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    bodies = (node.body for node in ast.walk(tree) if isinstance(node, kinds))
    return {
        found
        for body in bodies
        if body and isinstance(body[0], ast.Expr) and (found := text(body[0].value))
    }


@cache
def advice() -> set[str]:
    """Every advice that names a command or an action."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(ROOT.rglob("*.py"))]
    named = {name for tree in trees for name in _given(tree)}
    found = {found for tree in trees for found in set(_advice(tree, named)) - _docstrings(tree)}
    for script in ROOT.rglob("*.sh"):
        found |= {match[2] for match in SAID.finditer(script.read_text(encoding="utf-8"))}
    return {text for text in found if ACTION.search(text) and not SCRIPT.match(text)}
