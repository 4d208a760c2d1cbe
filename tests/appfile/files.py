"""App files written for a test."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest

from gpuhost.appfile.app import App
from gpuhost.appfile.errors import BadApp
from gpuhost.appfile.loading import load

SERVICES = """
services:
  app: {image: "tts:1", build: ., ports: ["3000:3000"]}
  worker: {image: "worker:1", container_name: worker, profiles: [gpu], ports: [3000]}
  proxy: {image: "nginx:1"}
"""


def file_of(directory: Path, text: str) -> Path:
    path = directory / "tts.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def app_of(directory: Path, block: str, services: str = SERVICES) -> App:
    """An app with this block, `source` if it has none."""
    return load(file_of(directory, _file(block, services)))


def problems(directory: Path, block: str, services: str = SERVICES) -> list[str]:
    """The problems of the file, without its name: `2: x-gpuhost.…`."""
    path = file_of(directory, _file(block, services))
    with pytest.raises(BadApp) as error:
        load(path)
    assert all("\n" not in line for line in error.value.lines)
    return [line.removeprefix(f"{path}:") for line in error.value.lines]


def assert_refused(directory: Path, block: str, expected: list[str]) -> None:
    """Asserts all problems of the file, each by its first characters."""
    lines = problems(directory, block)
    assert len(lines) == len(expected), lines
    for line, beginning in zip(lines, expected, strict=True):
        assert line.startswith(beginning)


def _file(block: str, services: str) -> str:
    source = "" if "source:" in block else "  source: {directory: .}\n"
    return f"x-gpuhost:\n{indent(dedent(block).strip(), '  ')}\n{source}{services}"
