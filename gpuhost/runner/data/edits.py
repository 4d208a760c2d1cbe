"""Applies `source.edits` to the source of a release: all of them, or none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from gpuhost.runner.contract import replace_once
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import Log
from gpuhost.runner.lib.source_paths import read_bytes, through_link
from gpuhost.runner.plan import Edit

FIX = (
    "the source has changed: look whether the edit is still needed at this revision; if it is, "
    "correct it in the app file, else remove it"
)
# How much of an anchor a failure shows.
ANCHOR_LINES = 10
# Bytes of a file that is edited: some are bundles.
LARGEST = 16 << 20


class _DoesNotFit(Exception):
    """Why an edit cannot be applied."""


@dataclass
class _Edited:
    """The files with the edits that fit so far; nothing is written yet."""

    source: Path
    texts: dict[str, str] = field(default_factory=dict)

    def apply(self, edit: Edit) -> None:
        """Raises _DoesNotFit."""
        name = str(PurePosixPath(edit.file))
        text = self.texts[name] if name in self.texts else _read(self.source, name)
        self.texts[name] = _replaced(text, edit)


def apply_edits(edits: Sequence[Edit], source: Path, log: Log) -> None:
    """Apply the edits in their order, or none of them.

    Raises Failure, with every edit that does not fit.
    """
    edited, problems, anchors = _Edited(source), list[str](), list[str]()
    for number, edit in enumerate(edits):
        try:
            edited.apply(edit)
        except _DoesNotFit as error:
            problems.append(f"x-gpuhost.source.edits[{number}] ({edit.reason}): {error}")
            anchors += [f"edits[{number}].find:", *edit.find.splitlines()[:ANCHOR_LINES]]
    if problems:
        raise Failure("; ".join(problems), output=tuple(anchors), fix=FIX)
    for name, text in edited.texts.items():
        _write(source / name, text)
    for edit in edits:
        log.write(f"edited {edit.file}: {edit.reason}")


def _read(source: Path, name: str) -> str:
    """Raises _DoesNotFit."""
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise _DoesNotFit(f"{name} is not a path in the source")
    if complaint := through_link(source, name):
        raise _DoesNotFit(complaint)
    path = source / name
    if not os.path.lexists(path):
        raise _DoesNotFit(f"{name} is not in the source")
    try:
        # Bytes, whose ends of lines stay as they are.
        content = read_bytes(source, path, LARGEST)
        if content is None:
            raise _DoesNotFit(f"{name} is not a file")
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise _DoesNotFit(f"{name} is not UTF-8 text") from None
    except Failure as failure:
        raise _DoesNotFit(failure.said) from None


def _replaced(text: str, edit: Edit) -> str:
    """Raises _DoesNotFit."""
    new, count = replace_once(text, edit.find, edit.replace)
    if count != 1:
        often = f"occurs {count} times in" if count else "does not occur in"
        raise _DoesNotFit(f"its anchor {often} {edit.file}")
    return new


def _write(path: Path, text: str) -> None:
    mode = path.stat().st_mode & 0o777
    # Another name of the same file in the source keeps its content.
    path.unlink()
    path.write_bytes(text.encode("utf-8"))
    path.chmod(mode)
