"""From apps/NAME.yaml to an App, or to every error in it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from gpuhost.appfile.app import App, source_directory
from gpuhost.appfile.block import frozen, parse_block, variable_problems, with_internal_secrets
from gpuhost.appfile.block_paths import in_source
from gpuhost.appfile.compose.merging import merged, untagged
from gpuhost.appfile.compose.patched_files import patched
from gpuhost.appfile.compose.project import ComposeProject, Named, read_project
from gpuhost.appfile.compose.project_files import LocalFiles, NoFiles, ProjectFiles
from gpuhost.appfile.document import BadYaml, Document, KeyPath, read_all
from gpuhost.appfile.errors import BadApp
from gpuhost.appfile.model import XGpuhost
from gpuhost.appfile.problems import Problem, shown, suggestion
from gpuhost.appfile.project_problems import of_project
from gpuhost.appfile.schema import KEY
from gpuhost.domain.app_name import NAME, NAME_RULE

# Where `--data app=NAME` is looked up: the user's own apps, then the packaged ones.
OWN = Path("apps")
PACKAGED = Path(__file__).parents[1] / "apps"
MAX_BYTES = 1024 * 1024


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
    """An app from its file. Raises BadApp with every error: file, line, key, what is allowed.

    If files of a git repository must be read first, the app is not complete.
    """
    if not NAME.fullmatch(path.stem):
        raise BadApp([f"{path}: the file name is the app's name; use {NAME_RULE}"])
    text = _bytes(path)
    try:
        documents = read_all(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise BadApp([f"{path}:{line}: not UTF-8"]) from None
    except BadYaml as error:
        line_of = f":{error.line}" if error.line else ""
        raise BadApp([f"{path}{line_of}: {error.message}"]) from None
    return _app(path, text, documents, None)


def complete(app: App, files: ProjectFiles) -> App:
    """An app with the files of its repository.

    Raises BadApp with every error, of these files too.
    """
    return _app(app.path, app.text, app.documents, files)


def _app(path: Path, text: bytes, documents: Sequence[Document], files: ProjectFiles | None) -> App:
    whole = _as_one(documents)
    problems = list(_of_file(whole.value))
    if problems:
        raise _bad_app(path, whole, problems)
    given = whole.value.get(KEY)
    problems = list(variable_problems(given, (KEY,)))
    block, is_valid, of_block = parse_block(frozen({} if given is None else given))
    reported = {problem.key_path for problem in problems}
    problems += (problem for problem in of_block if problem.key_path not in reported)
    directory = source_directory(block, path)
    local = LocalFiles(directory) if directory else NoFiles()
    project = _project(patched(files or local, block.source, path), block, path, whole, documents)
    is_complete = bool(directory or files) or not _needs_repository(block, project)
    lines: list[str] = []
    if is_complete:
        here = None if files else directory
        more, lines = of_project(block, project, here, problems, path.stem, is_valid=is_valid)
        problems += more
    if problems or lines:
        raise _bad_app(path, whole, problems, lines)
    block = with_internal_secrets(block)
    if is_complete:
        block = in_source(block, project.directory)
    return App(path.stem, path, text, project, block, documents, is_complete)


def _project(
    files: ProjectFiles,
    block: XGpuhost,
    path: Path,
    whole: Document,
    documents: Sequence[Document],
) -> ComposeProject:
    named = _named(block, path.stem)
    app_file = (str(path), whole.line((KEY, "compose")))
    beside = path.name if block.source is None else ""
    project = read_project(files, named, documents, app_file=app_file, beside=beside)
    if block.project or not project.name:
        return project
    # Its own name, now known, is ${COMPOSE_PROJECT_NAME}.
    named = replace(named, project=project.name)
    return read_project(files, named, documents, app_file=app_file, beside=beside)


def _bad_app(
    path: Path, document: Document, problems: Sequence[Problem], others: Sequence[str] = ()
) -> BadApp:
    lines = sorted({(document.line(one.key_path), one.message) for one in problems})
    return BadApp([*(f"{path}:{line}: {message}" for line, message in lines), *others])


def _as_one(documents: Sequence[Document]) -> Document:
    """The documents of the app file merged, as Compose merges them."""
    value: Any = None
    lines: dict[KeyPath, int] = {}
    for document in documents:
        is_mapping = isinstance(value, dict) and isinstance(document.value, dict)
        value = merged(value, document.value) if is_mapping else untagged(document.value)
        lines |= document.lines
    return Document(value, lines)


def _named(block: XGpuhost, app: str) -> Named:
    files = {secret.path for secret in block.secrets.values() if secret.path}
    secrets = with_internal_secrets(block).secrets
    return Named(
        block.compose,
        block.variables,
        frozenset(name for name, secret in secrets.items() if not secret.internal),
        frozenset(posixpath.normpath(path) for path in files),
        block.project or app,
    )


def _needs_repository(block: XGpuhost, project: ComposeProject) -> bool:
    """Whether what is known without the files of the repository is not enough."""
    return bool(
        block.compose
        or not project.inline
        or project.errors
        or any(not use.maybe and not use.is_extension for use in project.uses.all)
    )


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


def _of_file(written: Any) -> Iterator[Problem]:
    """The few rules for the file as a whole; Compose checks its own keys on the host."""
    if not isinstance(written, dict):
        yield Problem((), "an app file must be a mapping, with x-gpuhost, services or both")
        return
    services = written.get("services")
    if "services" in written and (not isinstance(services, dict) or not services):
        yield Problem(("services",), "services: must be a mapping with at least one service")
    for key in written:
        if key != KEY and get_close_matches(key.lower().replace("_", "-"), [KEY], cutoff=0.85):
            yield Problem((key,), f"{shown((), key)[1:-1]}: did you mean {KEY}?")
