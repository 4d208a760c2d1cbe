"""From apps/NAME.yaml to an App, or to every error in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gpuhost.appfile import references
from gpuhost.appfile.app import App
from gpuhost.appfile.compose_file import ComposeFile
from gpuhost.appfile.document import BadYaml, Document, KeyPath, read
from gpuhost.appfile.errors import BadApp
from gpuhost.appfile.model import XGpuhost
from gpuhost.appfile.problems import Problem, key_name, problems_of, shown, suggestion
from gpuhost.appfile.schema import KEY

# Where `--data app=NAME` is looked up: the user's own apps, then the packaged ones.
OWN = Path("apps")
PACKAGED = Path(__file__).parents[1] / "apps"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
NAME_RULE = "lowercase letters, digits, - and _, starting with a letter or digit"
MAX_BYTES = 1024 * 1024
# Compose's variables, $NAME and ${…}: they are not replaced inside x-gpuhost.
VARIABLE = re.compile(r"(?<!\$)(?:\$\$)*\$[A-Za-z_{]")
# A $ in a secret's `value` that does not start ${NAME}.
BAD_REFERENCE = re.compile(r"(?<!\$)(?:\$\$)*\$(?:[A-Za-z_]|\{(?![A-Za-z_]\w*\}))", re.ASCII)


def find(name: str) -> Path:
    """The file of an app: ./apps/NAME.yaml, or the packaged one.

    Raises BadApp.
    """
    if not NAME.fullmatch(name):
        raise BadApp([f"app = {shown((), name)}: invalid name: use {NAME_RULE}"])
    for directory in (OWN, PACKAGED):
        path = directory / f"{name}.yaml"
        if _is_file(path):
            return path
    if _is_file(OWN / f"{name}.yml"):
        raise BadApp([f"{OWN / name}.yml: app files end in .yaml; rename it"])
    known = sorted({path.stem for path in (*OWN.glob("*.yaml"), *PACKAGED.glob("*.yaml"))})
    raise BadApp([f"apps/{name}.yaml: no such file{suggestion(name, known)}"])


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # the name is too long
        return False


def load(path: Path) -> App:
    """An app from its file. Raises BadApp with every error: file, line, key, what is allowed."""
    if not NAME.fullmatch(path.stem):
        raise BadApp([f"{path}: the file name is the app's name; use {NAME_RULE}"])
    text = _bytes(path)
    try:
        document = read(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise BadApp([f"{path}:{line}: not UTF-8"]) from None
    except BadYaml as error:
        line_of = f":{error.line}" if error.line else ""
        raise BadApp([f"{path}{line_of}: {error.message}"]) from None
    compose, block, problems = _parts(document)
    if problems or block is None:
        lines = sorted({(document.line(one.key_path), one.message) for one in problems})
        raise BadApp([f"{path}:{line}: {message}" for line, message in lines])
    return App(path.stem, path, text, compose, block)


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise BadApp([f"{path}: cannot be read: {reason}"]) from None
    if len(text) > MAX_BYTES:
        raise BadApp([f"{path}: larger than {MAX_BYTES} bytes"])
    return text


def _parts(document: Document) -> tuple[ComposeFile, XGpuhost | None, list[Problem]]:
    written = document.value
    if not isinstance(written, dict):
        return ComposeFile(), None, [Problem((), "a Compose file must be a mapping with services")]
    compose = ComposeFile.of(written)
    problems = list(_of_compose(written))
    given = written.get(KEY)
    problems += _variables(given, (KEY,))
    block, of_block = _block(_frozen({} if given is None else given), compose)
    reported = {problem.key_path for problem in problems}
    return compose, block, [*problems, *(one for one in of_block if one.key_path not in reported)]


def _block(given: Any, compose: ComposeFile) -> tuple[XGpuhost | None, list[Problem]]:
    try:
        block = XGpuhost.model_validate(given, strict=True)
    except ValidationError as error:
        problems = list(problems_of(error, given))
        wrong = {str(problem.key_path[1]) for problem in problems if len(problem.key_path) > 1}
        if isinstance(given, dict):
            problems += _of_valid_sections(given, wrong, compose)
        return None, problems
    return _with_internal_secrets(block), list(references.check(block, compose))


def _of_valid_sections(
    given: dict[str, Any], wrong: set[str], compose: ComposeFile
) -> Iterator[Problem]:
    """References to unknown names, in the sections that are valid."""
    rest = {key: value for key, value in given.items() if key not in wrong}
    for key in ("secrets", "gpu"):
        section = given.get(key)
        if key in wrong and isinstance(section, dict):
            # The names are valid, even if a value is not.
            rest[key] = {name: {} for name in section}
    with suppress(ValidationError):
        for problem in references.check(XGpuhost.model_validate(rest, strict=True), compose):
            if problem.key_path[1] not in wrong:
                yield problem


def _of_compose(written: Mapping[str, Any]) -> Iterator[Problem]:
    """The few rules for Compose's own keys; Compose checks the rest on the host."""
    services = written.get("services")
    if not isinstance(services, dict) or not services:
        yield Problem(("services",), "services: must be a mapping with at least one service")
    for key in ("include", "extends"):
        if key in written:
            yield Problem((key,), f"{key}: not supported; put its services into this file")
    for name, service in services.items() if isinstance(services, dict) else ():
        if isinstance(service, dict):
            yield from _of_service(name, service)
    for key in written:
        if key != KEY and get_close_matches(key.lower().replace("_", "-"), [KEY], cutoff=0.85):
            yield Problem((key,), f"{shown((), key)[1:-1]}: did you mean {KEY}?")


def _of_service(name: str, service: Mapping[str, Any]) -> Iterator[Problem]:
    extends, build = service.get("extends"), service.get("build")
    if isinstance(extends, dict) and "file" in extends:
        message = "not supported; put the service into this file"
        yield Problem(
            ("services", name, "extends", "file"), f"services.{name}.extends.file: {message}"
        )
    others = build.get("additional_contexts") if isinstance(build, dict) else None
    if not isinstance(others, dict | list | None):
        key = f"services.{name}.build.additional_contexts"
        key_path = ("services", name, "build", "additional_contexts")
        yield Problem(key_path, f"{key}: must be a mapping, or a list of NAME=PATH")


def _variables(value: Any, key_path: KeyPath) -> Iterator[Problem]:
    if isinstance(value, str):
        yield from _in_text(value, key_path)
    elif isinstance(value, dict | list):
        for step, item in value.items() if isinstance(value, dict) else enumerate(value):
            below = (*key_path, step)
            if isinstance(step, str) and VARIABLE.search(step):
                yield Problem(
                    below, f"{key_name(below[1:])}: variables are not supported in a name"
                )
            yield from _variables(item, below)


def _in_text(text: str, key_path: KeyPath) -> Iterator[Problem]:
    is_template = key_path[1:2] == ("secrets",) and key_path[3:] == ("value",)
    if is_template and BAD_REFERENCE.search(text):
        message = "only secrets are filled in, as ${NAME}; write $$ for a $"
        yield Problem(key_path, f"{key_name(key_path[1:])}: {message}")
    if not is_template and VARIABLE.search(text):
        message = "variables are not supported here: write the value, and $$ for a $"
        yield Problem(key_path, f"{key_name(key_path[1:])}: {message}")


def _frozen(value: Any) -> Any:
    """Tuples for lists, as in the models; and $ for $$, as everywhere in a Compose file."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _with_internal_secrets(block: XGpuhost) -> XGpuhost:
    """A deploy key or a registry's password goes to no service, unless the file names some."""
    used = {name for _, name in references.secret_names(block)}
    internal = {
        name: secret.model_copy(update={"internal": True})
        for name, secret in block.secrets.items()
        if name in used and not secret.services
    }
    return block.model_copy(update={"secrets": {**block.secrets, **internal}})
