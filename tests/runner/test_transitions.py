"""The table of unfinished work: what it says is what the verbs do, and what the docs say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from gpuhost.runner.contract import (
    RELEASE,
    REMOVE,
    Operation,
    Result,
)
from gpuhost.runner.stages.carry_out import Exit
from gpuhost.runner.state import operations, results, transitions
from gpuhost.runner.state.transitions import TABLE, VERBS, Do, Rule, next_step, rule_of
from tests.runner.host_fixtures import app, programs
from tests.runner.restore_fixtures import (
    activated,
    state,
)
from tests.runner.unfinished_host import (
    DOCS,
    HALF,
    LEFT,
    NEWEST,
    Host,
    boot,
    host,
    move_aside,
    release_it,
    remove_again,
    restore_again,
    restore_one,
    roll_back,
)

__all__ = ["activated", "app", "host", "programs"]

FOLLOWED: dict[str, tuple[Callable[[Host], None], ...]] = {
    transitions.RESTORE_AGAIN: (restore_again,),
    transitions.MOVE_ASIDE: (restore_one, move_aside),
    transitions.REMOVE_AGAIN: (release_it, remove_again),
    transitions.FIRST_END_IT: (release_it, roll_back, restore_one, boot),
}
REFUSALS = [
    (left, verb, follow)
    for left, rules in TABLE.items()
    for verb, rule in rules.items()
    if rule.next
    for follow in FOLLOWED[rule.next]
]


@pytest.mark.parametrize(("left", "verb", "follow"), REFUSALS)
def test_a_refusal_changes_nothing_and_its_advice_loses_nothing(
    host: Host,
    capsys: pytest.CaptureFixture[str],
    left: str,
    verb: str,
    follow: Callable[[Host], None],
) -> None:
    LEFT[left](host)
    before, words = state(host.app), host.words
    assert "later" in words
    capsys.readouterr()
    rule, home = TABLE[left][verb], host.app.paths.home
    assert host.verb(verb) == (Exit.LOCKED if rule.do is Do.WAIT else Exit.FAILED)
    assert (state(host.app), host.released) == (before, [])
    printed = capsys.readouterr().err
    advice = next_step(host.app.paths, rule, host.backup)
    stored = [path.read_text() for path in home.glob("*/*/result.json")]
    assert any(advice in text for text in (printed, *stored))
    follow(host)
    assert host.words >= words
    host.released.clear()
    if follow is not remove_again:
        assert host.verb(verb) == Exit.GOOD
    assert host.words >= words


def test_every_state_has_a_rule_for_every_verb_and_every_refusal_a_next_step() -> None:
    assert set(LEFT) == set(TABLE)
    for left, rules in TABLE.items():
        assert all(rule_of(left, verb) for verb in VERBS)
        told = [rule for rule in rules.values() if rule.do in (Do.REFUSE, Do.WAIT)]
        assert [rule for rule in rules.values() if rule.next] == told


@dataclass(frozen=True)
class Seen:
    """What a verb has done. + results: of all operations, with their advice"""

    status: int
    printed: str
    released: tuple[str, ...]
    operation: Operation | None
    is_aborting: bool
    results: tuple[Result | None, ...]
    data: tuple[object, ...]


def seen(host: Host, capsys: pytest.CaptureFixture[str], verb: str) -> Seen:
    capsys.readouterr()
    status, paths = host.verb(verb), host.app.paths
    return Seen(
        status,
        capsys.readouterr().err,
        tuple(host.released),
        operations.begun(paths),
        paths.abort.exists(),
        tuple(results.read(path) for path in sorted(paths.home.glob("*/*/result.json"))),
        state(host.app) if verb != REMOVE else (),
    )


PLANTED = "as planted by the test"


@pytest.mark.parametrize(
    ("left", "verb"), [(left, verb) for left, rules in TABLE.items() for verb in rules]
)
def test_each_answer_decides_what_the_code_does(
    host: Host, capsys: pytest.CaptureFixture[str], left: str, verb: str
) -> None:
    """A refusal in place of the answer, and the other way round."""
    is_refusal = TABLE[left][verb].do is Do.REFUSE
    changed = Rule(Do.GO_ON) if is_refusal else Rule(Do.REFUSE, PLANTED)
    LEFT[left](host)
    host.monkeypatch.setitem(TABLE[left], verb, changed)
    before = state(host.app)
    now = seen(host, capsys, verb)
    told = " ".join((now.printed, *(result.fix for result in now.results if result)))
    if is_refusal:
        assert "refused: " not in " ".join((told, *(r.said for r in now.results if r)))
    else:
        assert PLANTED in told
        assert now.status in (Exit.FAILED, Exit.UNRESTORED)
        assert (now.released, now.is_aborting, state(host.app)) == ((), False, before)


@pytest.mark.parametrize(
    ("left", "verb", "do"),
    [
        (transitions.RELEASE_INTERRUPTED, RELEASE, Do.GO_ON),
        (transitions.RELEASE_INTERRUPTED, REMOVE, Do.FINISH),
        (transitions.RELEASE_INTERRUPTED, RELEASE, Do.WAIT),
        (transitions.RELEASE_INTERRUPTED, transitions.BACKUP, Do.FINISH),
        (transitions.RELEASE_INTERRUPTED, transitions.ABORT, Do.GO_ON),
        (transitions.RESTORE_INTERRUPTED, transitions.ABORT, Do.GO_ON),
        (transitions.RESTORE_DAMAGED, RELEASE, Do.SET_ASIDE),
        (transitions.RESTORE_ENDED, RELEASE, Do.GO_ON),
    ],
)
def test_another_answer_is_followed_too(
    host: Host, capsys: pytest.CaptureFixture[str], left: str, verb: str, do: Do
) -> None:
    LEFT[left](host)
    host.monkeypatch.setitem(TABLE[left], verb, Rule(do, PLANTED if do is Do.WAIT else ""))
    now, paths = seen(host, capsys, verb), host.app.paths
    assert {
        Do.GO_ON: not now.is_aborting and HALF not in now.released,
        Do.FINISH: now.released[:1] == (HALF,),
        Do.WAIT: now.status == Exit.LOCKED and now.released == (),
        Do.SET_ASIDE: (paths.home / "restore.damaged").is_dir() and now.released == (NEWEST,),
    }[do]
    assert left != transitions.RESTORE_ENDED or paths.restore.exists()


def test_the_table_in_the_docs_is_the_one_in_the_code() -> None:
    rows = [("left unfinished", *VERBS), ("---",) * (len(VERBS) + 1)]
    rows += [(left, *(rule_of(left, verb).do.value for verb in VERBS)) for left in TABLE]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    assert table in (DOCS / "architecture.md").read_text(encoding="utf-8")
