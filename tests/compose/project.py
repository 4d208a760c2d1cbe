"""Compose projects of our own making, one per feature, each described in projects/*.yaml.

Keys of a project:

+ about: what it shows, if its name does not say it
+ files: path -> text
+ block: `x-gpuhost`, beside what every project needs
+ secrets: the values of the block's secrets; Compose alone has those of the environment in its own
+ brings: files that the block's secrets bring: path -> text; Compose alone finds them in place
+ shell: variables of the shell for Compose alone, where the block has `variables`
+ profiles: with and without a card, for Compose alone: {card: […], none: […]}
+ refused: a pattern of the reason why gpuhost refuses the project
+ refused_without_card: the same, on a host without a card
+ alone: a pattern of the reason why Compose alone refuses it
+ trixie, sid: the same, for the Compose of that release only
+ again: a pattern of the reason why Compose refuses its own answer
+ becomes: what gpuhost changes: service -> key -> value, null for what goes
+ card_becomes, without_card_becomes: the same, on a host with a card, or without one
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

PROJECTS = Path(__file__).with_name("projects")


@dataclass(frozen=True)
class Project:
    name: str
    files: Mapping[str, str]
    about: str = ""
    block: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    brings: Mapping[str, str] = field(default_factory=dict)
    shell: Mapping[str, str] = field(default_factory=dict)
    profiles: Mapping[str, list[str]] = field(default_factory=dict)
    refused: str = ""
    refused_without_card: str = ""
    alone: str = ""
    trixie: str = ""
    sid: str = ""
    again: str = ""
    becomes: Mapping[str, Any] = field(default_factory=dict)
    card_becomes: Mapping[str, Any] = field(default_factory=dict)
    without_card_becomes: Mapping[str, Any] = field(default_factory=dict)

    def write(self, directory: Path, *, brought: bool) -> None:
        """Write its files. brought: also those that secrets bring."""
        for name, text in {**self.files, **(self.brings if brought else {})}.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())

    @property
    def compose_files(self) -> tuple[str, ...]:
        """The files that `-f` names; empty: those that Compose finds."""
        named = self.block.get("compose", ())
        return (named,) if isinstance(named, str) else tuple(named)

    @property
    def has_own_name(self) -> bool:
        """Whether a file says what the Compose project is called."""
        texts = "".join(f"\n{text}" for text in self.files.values())
        return "\nname:" in texts or "\nCOMPOSE_PROJECT_NAME=" in texts

    def refused_by(self, release: str) -> str:
        """Why the Compose of that release refuses it, a pattern; "" if it does not."""
        return self.alone or {"trixie": self.trixie, "sid": self.sid}[release]


def load_projects() -> dict[str, Project]:
    found: dict[str, Project] = {}
    for path in sorted(PROJECTS.glob("*.yaml")):
        for name, described in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            assert name not in found, f"{name}: in two files"
            found[name] = Project(name, **described)
    return found


ALL = load_projects()
