"""Every check, by id. A check is one pure function and one line of registration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from pkgutil import iter_modules

from gpuhost.checks.finding import Finding, Status, Verdict, unknown
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot

Judge = Callable[[Snapshot, Settings], Verdict]


@dataclass(frozen=True)
class Check:
    """meaning: what is so when the check is ok, in one sentence, for the reference page."""

    id: str
    meaning: str
    judge: Judge

    @property
    def noun(self) -> str:
        return self.id.partition(".")[0]

    def find(self, snapshot: Snapshot, settings: Settings) -> Finding:
        """Judge one reading. What could not be read becomes `unknown`, with the reason."""
        return found(self.id, partial(self.judge, snapshot, settings))


def found(id: str, judge: Callable[[], Verdict]) -> Finding:
    """What a check finds, whatever happens while it judges."""
    try:
        verdict = judge()
    except NotRead as reason:
        verdict = unknown(str(reason))
    except Exception as error:
        # A fault of one check on one odd host must not end the run of a whole fleet.
        verdict = unknown(f"gpuhost could not judge this: {error!r}", fix="please report this")
    return Finding(**vars(verdict), id=id)


_checks: dict[str, Check] = {}


def check(id: str, meaning: str) -> Callable[[Judge], Check]:
    """Register a function of (Snapshot, Settings) under an id, `noun.aspect`.

    **Example:**

    .. code:: python

        @check("memory.total", "The host has the declared RAM.")
        def total(now: Snapshot, declared: Settings) -> Verdict: ...
    """

    def register(judge: Judge) -> Check:
        if id in _checks:
            raise ValueError(f"two checks named {id}")
        _checks[id] = Check(id, meaning, judge)
        return _checks[id]

    return register


def all_checks() -> list[Check]:
    """Every registered check, by id."""
    _import_all()
    return [_checks[id] for id in sorted(_checks)]


@cache
def _import_all() -> None:
    for _ in loading():
        pass


def loading() -> Iterator[None]:
    """Import the checks, module by module: for who has other work in between."""
    import gpuhost.checks.host

    for module in iter_modules(gpuhost.checks.host.__path__):
        import_module(f"gpuhost.checks.host.{module.name}")
        yield


def run_checks(
    snapshot: Snapshot, settings: Settings, nouns: Iterable[str] | None = None
) -> list[Finding]:
    """Judge one reading by every check, or by those of some nouns."""
    wanted = None if nouns is None else frozenset(nouns)
    return [
        check.find(snapshot, settings)
        for check in all_checks()
        if wanted is None or check.noun in wanted
    ]


def failing(snapshot: Snapshot, settings: Settings, noun: str) -> list[Finding]:
    """What an operation has to mend: the findings of one noun that fail."""
    return [f for f in run_checks(snapshot, settings, [noun]) if f.status is Status.FAIL]
