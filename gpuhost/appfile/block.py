"""The block x-gpuhost of an app file: validated, with every problem of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from gpuhost.appfile import references
from gpuhost.appfile.document import KeyPath
from gpuhost.appfile.model import XGpuhost
from gpuhost.appfile.problems import Problem, key_name, problems_of

# Compose's variables, $NAME and ${…}: they are not replaced inside x-gpuhost.
VARIABLE = re.compile(r"(?<!\$)(?:\$\$)*\$[A-Za-z_{]")
# A $ in a secret's `value` that does not start ${NAME}.
BAD_REFERENCE = re.compile(r"(?<!\$)(?:\$\$)*\$(?:[A-Za-z_]|\{(?![A-Za-z_]\w*\}))", re.ASCII)


def parse_block(given: Any) -> tuple[XGpuhost, bool, list[Problem]]:
    """The block, whether it is valid, and its problems; an invalid one without wrong sections."""
    try:
        return XGpuhost.model_validate(given, strict=True), True, []
    except ValidationError as error:
        problems = list(problems_of(error, given))
    wrong = {str(problem.key_path[1]) for problem in problems if len(problem.key_path) > 1}
    rest = (
        {key: value for key, value in given.items() if key not in wrong}
        if (isinstance(given, dict))
        else {}
    )
    for key in ("secrets", "gpu"):
        section = given.get(key) if isinstance(given, dict) else None
        if key in wrong and isinstance(section, dict):
            # The names are valid, even if a value is not.
            rest[key] = {name: {} for name in section}
    try:
        return XGpuhost.model_validate(rest, strict=True), False, problems
    except ValidationError:
        return XGpuhost(), False, problems


def variable_problems(value: Any, key_path: KeyPath) -> Iterator[Problem]:
    if isinstance(value, str):
        yield from _in_text(value, key_path)
    elif isinstance(value, dict | list):
        for step, item in value.items() if isinstance(value, dict) else enumerate(value):
            below = (*key_path, step)
            if isinstance(step, str) and VARIABLE.search(step):
                yield Problem(
                    below, f"{key_name(below[1:])}: variables are not supported in a name"
                )
            yield from variable_problems(item, below)


def _in_text(text: str, key_path: KeyPath) -> Iterator[Problem]:
    is_template = key_path[1:2] == ("secrets",) and key_path[3:] == ("value",)
    if is_template and BAD_REFERENCE.search(text):
        message = "only secrets are filled in, as ${NAME}; write $$ for a $"
        yield Problem(key_path, f"{key_name(key_path[1:])}: {message}")
    if not is_template and VARIABLE.search(text):
        message = "variables are not supported here: write the value, and $$ for a $"
        yield Problem(key_path, f"{key_name(key_path[1:])}: {message}")


def frozen(value: Any) -> Any:
    """Tuples for lists, as in the models; and $ for $$, as everywhere in a Compose file."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, dict):
        return {key: frozen(item) for key, item in value.items()}
    return tuple(map(frozen, value)) if isinstance(value, list) else value


def with_internal_secrets(block: XGpuhost) -> XGpuhost:
    """A deploy key or a registry's password goes to no service, unless the file names some."""
    used = {name for _, name in references.secret_names(block)}
    internal = {
        name: secret.model_copy(update={"internal": True})
        for name, secret in block.secrets.items()
        if name in used and not secret.services
    }
    return block.model_copy(update={"secrets": {**block.secrets, **internal}})
