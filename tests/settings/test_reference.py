"""The generated pages agree with the code."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from gpuhost.checks.registry import all_checks
from gpuhost.reference import pages
from gpuhost.reference.__main__ import main
from gpuhost.settings import Settings, fields
from gpuhost.settings.merge import Layer, merge_layers

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", pages.PAGES)
def test_pages_are_up_to_date(page: str) -> None:
    assert page not in pages.stale(ROOT), f"{page}: run `make docs`"


def test_the_defaults_file_is_the_defaults() -> None:
    values = runpy.run_path(str(ROOT / "group_data" / "all.py"))
    own = {key: value for key, value in values.items() if not key.startswith("__")}
    assert list(own) == list(fields())
    assert merge_layers([Layer("all.py", own)]) == Settings()


def test_every_setting_and_every_check_has_its_row() -> None:
    settings = (ROOT / "docs" / "settings.md").read_text()
    checks = (ROOT / "docs" / "checks.md").read_text()
    assert [name for name in fields() if f"| `{name}` |" not in settings] == []
    assert [check.id for check in all_checks() if f"| `{check.id}` |" not in checks] == []


def test_operations_have_an_example_and_a_meaning_for_every_argument() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    sections = page.split("\n### ")[1:]
    assert len(sections) > 10
    for section in sections:
        assert "**Example:**" in section, section.splitlines()[0]
        signature = section.partition("```python\n")[2].partition("```")[0]
        for line in signature.splitlines():
            argument = line.strip().partition(":")[0]
            if line.startswith("    ") and argument.isidentifier():
                assert re.search(rf"^- `[^`]*\b{argument}\b.*`: ", section, re.MULTILINE)


def test_check_lists_stale_pages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gpuhost" / "settings").mkdir(parents=True)
    (tmp_path / "gpuhost" / "settings" / "settings.py").touch()
    assert main(["--check"], tmp_path) == 1
    assert "docs/checks.md: stale: run `make docs`" in capsys.readouterr().out
    assert not (tmp_path / "docs").exists()
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
    (tmp_path / "docs" / "checks.md").write_text("edited")
    assert main(["--check"], tmp_path) == 1


def test_only_in_the_repository(tmp_path: Path) -> None:
    assert main([], tmp_path) == 1
    assert list(tmp_path.iterdir()) == []
