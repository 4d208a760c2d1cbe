"""From apps/NAME.yaml to an App, or to every mistake in it."""

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

# What `--data app=NAME` looks through: the user's own, then those that gpuhost brings.
OWN = Path("apps")
PACKAGED = Path(__file__).parents[1] / "apps"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
NAME_WORDS = "small letters, digits, - and _, beginning with a letter or digit"
LARGEST = 1024 * 1024
# Nothing fills in what would be Compose's variables elsewhere in the file: $NAME and ${…}.
VARIABLE = re.compile(r"(?<!\$)(?:\$\$)*\$[A-Za-z_{]")
# In a secret's `value` other secrets are, and they have one form.
NO_REFERENCE = re.compile(r"(?<!\$)(?:\$\$)*\$(?:[A-Za-z_]|\{(?![A-Za-z_]\w*\}))", re.ASCII)


def find(name: str) -> Path:
    """The file of an app: ./apps/NAME.yaml, or the one that gpuhost brings.

    Raises BadApp.
    """
    if not NAME.fullmatch(name):
        raise BadApp([f"app = {shown((), name)}: a name of {NAME_WORDS}"])
    for directory in (OWN, PACKAGED):
        path = directory / f"{name}.yaml"
        if path.is_file():
            return path
    if (OWN / f"{name}.yml").is_file():
        raise BadApp([f"{OWN / name}.yml: an app's file ends in .yaml; rename it"])
    there = sorted({path.stem for path in (*OWN.glob("*.yaml"), *PACKAGED.glob("*.yaml"))})
    raise BadApp([f"apps/{name}.yaml: there is no such file{suggestion(name, there)}"])


def load(path: Path) -> App:
    """An app from its file. Raises BadApp with every mistake: file, line, key, what is allowed."""
    if not NAME.fullmatch(path.stem):
        raise BadApp([f"{path}: an app is named after its file, by {NAME_WORDS}"])
    text = _bytes(path)
    try:
        document = read(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise BadApp([f"{path}:{line}: not UTF-8"]) from None
    except BadYaml as error:
        line_of = f":{error.line}" if error.line else ""
        raise BadApp([f"{path}{line_of}: {error.said}"]) from None
    compose, block, mistakes = _parts(document)
    if mistakes or block is None:
        found = sorted({(document.line(mistake.place), mistake.said) for mistake in mistakes})
        raise BadApp([f"{path}:{line}: {said}" for line, said in found])
    return App(path.stem, path, text, compose, block)


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or "not a path"
        raise BadApp([f"{path}: cannot be read: {said}"]) from None
    if len(text) > LARGEST:
        raise BadApp([f"{path}: larger than {LARGEST} bytes: not a Compose file"])
    return text


def _parts(document: Document) -> tuple[ComposeFile, XGpuhost | None, list[Problem]]:
    written = document.value
    if not isinstance(written, dict):
        return ComposeFile(), None, [Problem((), "a Compose file is a mapping with services")]
    compose = ComposeFile.of(written)
    mistakes = list(_of_compose(written))
    given = written.get(KEY)
    mistakes += _variables(given, (KEY,))
    block, of_block = _block(_frozen({} if given is None else given), compose)
    told = {mistake.place for mistake in mistakes}
    return compose, block, [*mistakes, *(one for one in of_block if one.place not in told)]


def _block(given: Any, compose: ComposeFile) -> tuple[XGpuhost | None, list[Problem]]:
    try:
        block = XGpuhost.model_validate(given, strict=True)
    except ValidationError as error:
        mistakes = list(problems_of(error, given))
        wrong = {str(mistake.place[1]) for mistake in mistakes if len(mistake.place) > 1}
        if isinstance(given, dict):
            mistakes += _of_the_rest(given, wrong, compose)
        return None, mistakes
    return _with_internal_secrets(block), list(references.mistakes_in(block, compose))


def _of_the_rest(given: dict[str, Any], wrong: set[str], compose: ComposeFile) -> Iterator[Problem]:
    """Names that lead nowhere, in the parts that are right by themselves."""
    rest = {key: value for key, value in given.items() if key not in wrong}
    for key in ("secrets", "gpu"):
        named_there = given.get(key)
        if key in wrong and isinstance(named_there, dict):
            # Whatever is wrong with it.
            rest[key] = {name: {} for name in named_there}
    with suppress(ValidationError):
        for mistake in references.mistakes_in(XGpuhost.model_validate(rest, strict=True), compose):
            if mistake.place[1] not in wrong:
                yield mistake


def _of_compose(written: Mapping[str, Any]) -> Iterator[Problem]:
    """The little that has to be so; all else is Compose's to say, on the host."""
    services = written.get("services")
    if not isinstance(services, dict) or not services:
        yield Problem(("services",), "services: a mapping with at least one service")
    for key in ("include", "extends"):
        if key in written:
            yield Problem((key,), f"{key}: one file is shipped; put its services into it")
    for name, service in services.items() if isinstance(services, dict) else ():
        if isinstance(service, dict):
            yield from _of_service(name, service)
    for key in written:
        if key != KEY and get_close_matches(key.lower().replace("_", "-"), [KEY], cutoff=0.85):
            yield Problem((key,), f"{shown((), key)[1:-1]}: did you mean {KEY}?")


def _of_service(name: str, service: Mapping[str, Any]) -> Iterator[Problem]:
    extends, build = service.get("extends"), service.get("build")
    if isinstance(extends, dict) and "file" in extends:
        said = "one file is shipped; put the service into it"
        yield Problem(
            ("services", name, "extends", "file"), f"services.{name}.extends.file: {said}"
        )
    others = build.get("additional_contexts") if isinstance(build, dict) else None
    if not isinstance(others, dict | list | None):
        key = f"services.{name}.build.additional_contexts"
        place = ("services", name, "build", "additional_contexts")
        yield Problem(place, f"{key}: a mapping, or a list of NAME=PLACE")


def _variables(value: Any, place: KeyPath) -> Iterator[Problem]:
    if isinstance(value, str):
        yield from _in_text(value, place)
    elif isinstance(value, dict | list):
        for step, item in value.items() if isinstance(value, dict) else enumerate(value):
            below = (*place, step)
            if isinstance(step, str) and VARIABLE.search(step):
                yield Problem(below, f"{key_name(below[1:])}: no variable is filled in in a name")
            yield from _variables(item, below)


def _in_text(text: str, place: KeyPath) -> Iterator[Problem]:
    is_template = place[1:2] == ("secrets",) and place[3:] == ("value",)
    if is_template and NO_REFERENCE.search(text):
        said = "a secret is filled in as ${NAME}, and nothing else is; write $$ for a $"
        yield Problem(place, f"{key_name(place[1:])}: {said}")
    if not is_template and VARIABLE.search(text):
        said = "no variable is filled in here: write what it stands for, and $$ for a $"
        yield Problem(place, f"{key_name(place[1:])}: {said}")


def _frozen(value: Any) -> Any:
    """Tuples for lists, as the model has them; and $$ is $, as in all of a Compose file."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _with_internal_secrets(block: XGpuhost) -> XGpuhost:
    """A deploy key or a registry's password is no service's, unless the file says whose."""
    used = {name for _, name in references.secret_names(block)}
    internal = {
        name: secret.model_copy(update={"internal": True})
        for name, secret in block.secrets.items()
        if name in used and not secret.services
    }
    return block.model_copy(update={"secrets": {**block.secrets, **internal}})
