"""What the real code of the packaged apps reads, writes and answers, as NAME.yaml has it.

Every fact names the line of upstream's code, at the revision that the app file pins:

    python -m tests.apps.facts DIR      # compares them with clones of the repositories

Keys of NAME.yaml:

+ repository: owner/name
+ revision: where the facts were read
+ unusable: other revisions -> why they cannot be released
+ programs: code that services run, see Program
+ lacks: paths that git does not have -> who needs them
+ has: paths that git has -> a text in them; they must not be copied into data
+ faults: texts of the code that must not be in what is built, see Fault
+ same: "service.NAME" twice: variables that must have one value
+ routes: service -> "METHOD /path", what it answers; a final * is any rest
+ proof: parts of `verify` that the app must have; a health check proves none of them
+ health_checks: service -> the HEALTHCHECK of its image
+ images: service -> a pattern of the image
+ site: path -> where nginx must lead it
+ disk_gb: variant -> the most that its builds need
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from gpuhost.runner.contract import from_json

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Program:
    """Code that services run.

    + reads: variable -> the line that reads it, or the program
    + needs: variable -> a pattern of the values with which it works
    + writes: directories of data -> the line
    + files: read at run time and not in the image -> the line
    + commands: words of the command that starts it
    + avoids: words that upstream has in it, and that must not be there -> the line
    + mounts: where something must be mounted
    """

    services: tuple[str, ...]
    reads: dict[str, str] = field(default_factory=dict)
    needs: dict[str, str] = field(default_factory=dict)
    writes: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    avoids: dict[str, str] = field(default_factory=dict)
    commands: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fault:
    """A text of upstream's code that breaks something.

    + at: "file:line"
    + cure: a text with which it does no harm
    """

    at: str
    text: str
    effect: str
    cure: str = ""

    @property
    def file(self) -> str:
        return self.at.rpartition(":")[0]

    def is_in(self, content: str) -> bool:
        return self.text in content and not (self.cure and self.cure in content)


@dataclass(frozen=True)
class HealthCheck:
    at: str
    interval_s: int
    start_period_s: int = 0


@dataclass(frozen=True)
class Facts:
    repository: str
    revision: str
    programs: tuple[Program, ...]
    unusable: dict[str, str] = field(default_factory=dict)
    lacks: dict[str, str] = field(default_factory=dict)
    has: dict[str, str] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    same: tuple[tuple[str, str], ...] = ()
    routes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    proof: tuple[str, ...] = ()
    health_checks: dict[str, HealthCheck] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    site: dict[str, str] = field(default_factory=dict)
    disk_gb: dict[str, int] = field(default_factory=dict)

    def of(self, service: str) -> Program | None:
        """All that is known of a service."""
        programs = [program for program in self.programs if service in program.services]
        if not programs:
            return None
        return Program(
            (service,),
            *(
                {
                    key: value
                    for program in programs
                    for key, value in getattr(program, name).items()
                }
                for name in ("reads", "needs", "writes", "files", "avoids")
            ),
            tuple(words for program in programs for words in program.commands),
            tuple(path for program in programs for path in program.mounts),
        )


def load(name: str) -> Facts:
    text = (HERE / f"{name}.yaml").read_text(encoding="utf-8")
    return from_json(Facts, yaml.safe_load(text))


NAMES = tuple(sorted(path.stem for path in HERE.glob("*.yaml") if path.stem != "mistakes"))
