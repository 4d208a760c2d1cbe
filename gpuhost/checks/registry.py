"""Every check, by id. A check is one pure function and one line of registration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Generic, ParamSpec

from gpuhost.checks.finding import Finding, Status, Verdict, unknown
from gpuhost.domain.plain_text import safe
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot

# What a check is about: a host's snapshot and settings, a proposed release, a deployed app.
Subject = ParamSpec("Subject")


@dataclass(frozen=True)
class Check(Generic[Subject]):
    """meaning: the sentence that is true if the check is ok, for the reference page."""

    id: str
    meaning: str
    judge: Callable[Subject, Verdict]

    @property
    def noun(self) -> str:
        return self.id.partition(".")[0]

    def find(self, *args: Subject.args, **kwargs: Subject.kwargs) -> Finding:
        """Check one subject. What could not be read becomes `unknown`, with the reason."""
        try:
            verdict = self.judge(*args, **kwargs)
        except NotRead as reason:
            verdict = unknown(str(reason))
        except MemoryError:
            # Of the whole host, not of this check.
            raise
        except Exception as error:
            # A fault of one check on one odd host must not end the run of a whole fleet.
            verdict = unknown(
                f"this check failed with an error in gpuhost: {error!r}", fix="please report this"
            )
        return safe(Finding(**vars(verdict), id=self.id))


class Registry(Generic[Subject]):
    """The checks of one kind of subject. The modules of a package register them.

    + package: imported, module by module, when the checks are first needed
    """

    def __init__(self, package: str) -> None:
        self._package = package
        self._checks: dict[str, Check[Subject]] = {}
        self._is_loaded = False

    def check(
        self, id: str, meaning: str
    ) -> Callable[[Callable[Subject, Verdict]], Check[Subject]]:
        """Register a function of the subject under an id, `noun.aspect`."""

        def register(judge: Callable[Subject, Verdict]) -> Check[Subject]:
            if id in self._checks:
                raise ValueError(f"two checks named {id}")
            self._checks[id] = Check(id, meaning, judge)
            return self._checks[id]

        return register

    def loading(self) -> Iterator[None]:
        """Import the checks, module by module, so that a caller can do other work in between."""
        for module in iter_modules(import_module(self._package).__path__):
            import_module(f"{self._package}.{module.name}")
            yield
        self._is_loaded = True

    def all(self) -> list[Check[Subject]]:
        """Every check, by id."""
        self._load()
        return [self._checks[id] for id in sorted(self._checks)]

    def __getitem__(self, id: str) -> Check[Subject]:
        self._load()
        return self._checks[id]

    def _load(self) -> None:
        if not self._is_loaded:
            for _ in self.loading():
                pass


HOST: Registry[[Snapshot, Settings]] = Registry("gpuhost.checks.host")
# Register a function of (snapshot, settings): @check("memory.total", "The host has enough RAM.")
check, all_checks, loading = HOST.check, HOST.all, HOST.loading


def run_checks(
    snapshot: Snapshot, settings: Settings, nouns: Iterable[str] | None = None
) -> list[Finding]:
    """Run every check, or those of some nouns, on one snapshot of a host."""
    chosen = None if nouns is None else frozenset(nouns)
    return [
        check.find(snapshot, settings)
        for check in all_checks()
        if chosen is None or check.noun in chosen
    ]


def failing(snapshot: Snapshot, settings: Settings, noun: str) -> list[Finding]:
    """The findings of one noun that fail: what an operation must repair."""
    return [f for f in run_checks(snapshot, settings, [noun]) if f.status is Status.FAIL]


def finding_of(id: str, snapshot: Snapshot, settings: Settings) -> Finding:
    """The finding of one check of a host."""
    return HOST[id].find(snapshot, settings)
