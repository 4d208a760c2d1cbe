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


def mistakes(directory: Path, block: str, services: str = SERVICES) -> list[str]:
    """What is said of it, without the file's name: `2: x-gpuhost.…`."""
    path = file_of(directory, _file(block, services))
    with pytest.raises(BadApp) as error:
        load(path)
    assert all("\n" not in line for line in error.value.lines)
    return [line.removeprefix(f"{path}:") for line in error.value.lines]


def assert_refused(directory: Path, block: str, said: list[str]) -> None:
    """All that is said of it, each by how it begins."""
    found = mistakes(directory, block)
    assert len(found) == len(said), found
    for line, beginning in zip(found, said, strict=True):
        assert line.startswith(beginning)


def _file(block: str, services: str) -> str:
    source = "" if "source:" in block else "  source: {directory: .}\n"
    return f"x-gpuhost:\n{indent(dedent(block).strip(), '  ')}\n{source}{services}"
