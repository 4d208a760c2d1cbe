"""The Compose files are read as the host will have them: with the overlay and the edits."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuhost.appfile.compose.patched_files import PatchedFiles
from gpuhost.appfile.compose.project_files import Kind, LocalFiles
from gpuhost.appfile.errors import BadApp
from gpuhost.appfile.loading import load

APP = """\
x-gpuhost:
  source:
    directory: ../project
    overlay: tts.overlay
    edits:
      - {file: ./compose.yaml, find: "profiles: [gpu]", replace: "", reason: it always runs}
  one_shots: [init]
  directories: {data: {}}
"""


@pytest.fixture
def app_file(tmp_path: Path) -> Path:
    _write(tmp_path / "project/compose.yaml", "services:\n  web: {image: w, profiles: [gpu]}\n")
    _write(tmp_path / "project/conf/.gitkeep", "")
    path = tmp_path / "apps/tts.yaml"
    _write(path, APP)
    _write(
        tmp_path / "apps/tts.overlay/compose.override.yaml",
        "services:\n  init: {image: i, volumes: [./conf:/conf]}\n",
    )
    return path


def test_a_compose_file_of_the_overlay_is_found(app_file: Path) -> None:
    app = load(app_file)
    assert app.compose.services.keys() == {"web", "init"}


def test_an_edit_counts(app_file: Path) -> None:
    assert load(app_file).compose.services["web"].profiles == ()


def test_an_edit_of_several_lines_fits_as_on_the_host(app_file: Path) -> None:
    compose = app_file.parents[1] / "project/compose.yaml"
    compose.write_bytes(b"services:\r\n  web:\r\n    image: w\r\n    profiles: [gpu]\r\n")
    edit = '{file: ./compose.yaml, find: "w\\n    profiles: [gpu]", replace: v, reason: r}'
    old = '{file: ./compose.yaml, find: "profiles: [gpu]", replace: "", reason: it always runs}'
    app_file.write_text(APP.replace(old, edit), encoding="utf-8")
    web = load(app_file).compose.services["web"]
    assert (web.image, web.profiles) == ("v", ())


def test_a_file_of_the_overlay_is_named_in_messages(app_file: Path) -> None:
    override = app_file.parent / "tts.overlay/compose.override.yaml"
    override.write_text("services: [\n", encoding="utf-8")
    with pytest.raises(BadApp, match=r"tts\.overlay/compose\.override\.yaml"):
        load(app_file)


def test_a_directory_that_the_overlay_fills_is_not_empty(app_file: Path) -> None:
    overlay, project = app_file.with_name("tts.overlay"), app_file.parents[1] / "project"
    files = PatchedFiles(LocalFiles(project), LocalFiles(overlay), ())
    assert files.kind("conf") is Kind.EMPTY
    _write(overlay / "conf/a.conf", "a")
    assert files.kind("conf") is Kind.DIRECTORY
    assert files.kind("none") is Kind.ABSENT


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
