"""The command ``python -m tests.apps.facts DIR``: do clones of the repositories have the facts?

DIR has a clone of each, named as the repository or owner+name. Each line that names what is read
must have the name, and a line of what is written must be in a file that exists. Each fault's text
must begin at its line. What git lacks must not be in the revision, and what a stand-in's Compose
file says must be in the one of the revision.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.apps.facts import compose_part
from tests.apps.facts.table import HERE, NAMES, load
from tests.lab.process import LabError
from tests.upstream import checkout

LINE = re.compile(r"(\S+):(\d+)")
# A statement of a name may go on in the next lines.
NEAR = 2
COMPOSE = "docker-compose.yml"


def main(directory: Path) -> int:
    wrong = [f"{name}: {one}" for name in NAMES for one in compare(name, directory)]
    print("\n".join(wrong) or f"the facts of {len(NAMES)} repositories hold")
    return bool(wrong)


def compare(name: str, directory: Path) -> Iterator[str]:
    facts = load(name)
    try:
        clone = checkout.find(directory, facts.repository)
    except LabError as error:
        yield str(error)
        return
    if not _has(clone, facts.revision):
        yield f"{clone} lacks the revision {facts.revision}"
        return
    own = HERE.parent / name / COMPOSE
    if own.is_file():
        theirs = _text(clone, facts.revision, COMPOSE)
        yield from compose_part.differences(own.read_text(encoding="utf-8"), theirs)
    for path in facts.lacks:
        if _text(clone, facts.revision, path):
            yield f"{path} is in the revision"
    for path, text in facts.has.items():
        if text not in _text(clone, facts.revision, path):
            yield f"{path} lacks {text!r}"
    for program in facts.programs:
        for word, at in (*program.reads.items(), *program.avoids.items()):
            if (place := LINE.fullmatch(at)) and not _names(clone, facts.revision, place, word):
                yield f"{at} does not name {word}"
        for path, at in (*program.writes.items(), *program.files.items()):
            if (place := LINE.fullmatch(at)) and not _text(clone, facts.revision, place[1]):
                yield f"{at} of {path}: no such file"
    for service, check in facts.health_checks.items():
        place = LINE.fullmatch(check.at)
        if not place or not _names(clone, facts.revision, place, "HEALTHCHECK --interval="):
            yield f"{check.at}: no HEALTHCHECK of {service}"
    for fault in facts.faults:
        text, line = _text(clone, facts.revision, fault.file), int(fault.at.rpartition(":")[2])
        start = text.find(fault.text)
        if start < 0 or text.count("\n", 0, start) + 1 != line:
            yield f"{fault.at}: its text is not in this line"


def _has(clone: Path, revision: str) -> bool:
    command = ["git", "-C", str(clone), "cat-file", "-e", f"{revision}^{{commit}}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _names(clone: Path, revision: str, place: re.Match[str], name: str) -> bool:
    lines = _text(clone, revision, place[1]).splitlines()[int(place[2]) - 1 :][:NEAR]
    # pydantic takes a variable for a field in lower case.
    return name.lower() in "\n".join(lines).lower()


def _text(clone: Path, revision: str, path: str) -> str:
    """A file of a revision; "" if there is none."""
    shown = subprocess.run(
        ["git", "-C", str(clone), "show", f"{revision}:{path}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return shown.stdout if shown.returncode == 0 else ""


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
