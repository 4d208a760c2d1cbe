"""The generated pages, and whether they are up to date."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gpuhost.appfile.schema import file_schema
from gpuhost.reference.app_file import app_file_page
from gpuhost.reference.checks import checks_page
from gpuhost.reference.docstrings import operations_page
from gpuhost.reference.settings import defaults_file, settings_page

PAGES: dict[str, Callable[[], str]] = {
    "group_data/all.py": defaults_file,
    "docs/settings.md": settings_page,
    "docs/checks.md": checks_page,
    "docs/operations.md": operations_page,
    "docs/app-file.md": app_file_page,
    "docs/app.schema.json": file_schema,
}


def stale(root: Path) -> list[str]:
    """Pages that differ from what would be written."""
    return [path for path, page in PAGES.items() if _text(root / path) != page()]


def write(root: Path) -> None:
    for path, page in PAGES.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(page(), encoding="utf-8")


def _text(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.is_file() else None
