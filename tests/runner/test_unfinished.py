"""Work that one verb left unfinished, and every other verb: the table, refusals, next steps."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from gpuhost.runner import __main__ as entry
from gpuhost.runner.contract import VERIFIED, AppPaths, Operation
from gpuhost.runner.data import exchange
from gpuhost.runner.lib.files import write_json
from gpuhost.runner.stages import restore as restoring
from gpuhost.runner.stages.restore_state import read_state
from gpuhost.runner.state import operations, results, transitions
from gpuhost.runner.state.release import Release
from gpuhost.runner.state.transitions import REFUSE, TABLE, markdown
from tests.runner.host_fixtures import NEW, app, programs
from tests.runner.restore_fixtures import (
    NOW,
    activated,
    app_data,
    state,
)
from tests.runner.unfinished_host import (
    BAD,
    DOCS,
    LEFT,
    NEWEST,
    Host,
    broken,
    host,
    interrupted,
    move_aside,
    no_disk,
    release_it,
    remove_again,
    restore_again,
    restore_one,
    whole,
)

__all__ = ["activated", "app", "host", "programs"]

FOLLOWED: dict[str, tuple[Callable[[Host], None], ...]] = {
    transitions.RESTORE_AGAIN: (restore_again,),
    transitions.MOVE_ASIDE: (restore_one, move_aside),
    transitions.REMOVE_AGAIN: (release_it, remove_again),
}
REFUSALS = [
    (left, verb, follow)
    for left, rules in TABLE.items()
    for verb, rule in rules.items()
    if rule.do == REFUSE and rule.next != transitions.WAIT
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
    assert host.verb(verb) == entry.FAILED
    assert (state(host.app), host.released) == (before, [])
    printed = capsys.readouterr().err
    rule, home = TABLE[left][verb], host.app.paths.home
    advice = rule.next.format(id=host.backup, home=home)
    stored = [path.read_text() for path in home.glob("*/*/result.json")]
    assert any(advice in text for text in (printed, *stored))
    follow(host)
    assert host.words >= words
    host.released.clear()
    if follow is not remove_again:
        assert host.verb(verb) == entry.GOOD
    assert host.words >= words


def test_a_release_over_a_half_undone_restore_is_refused(host: Host) -> None:
    broken(host)
    assert host.verb(transitions.RELEASE) == entry.FAILED
    refused = results.read(host.app.paths.release(NEWEST).result)
    assert refused and (refused.state, refused.revision) == ("failed", "r")
    assert "the undo of a restore failed" in refused.said
    assert f"restore {host.backup} again" in refused.fix
    restore_again(host)
    assert state(host.app) == NOW
    (undone,) = host.app.paths.backups.glob("undone-restore-*")
    kept = {path.name for path in undone.rglob("*") if path.is_file()}
    assert kept == {"app.db", "app.db-wal", "settings.json", "then.mp3"}
    assert not host.app.paths.restore.exists()
    release_it(host)


@pytest.mark.parametrize(
    "verb",
    [transitions.RELEASE, transitions.ROLLBACK, transitions.BACKUP, transitions.REMOVE,
     transitions.RESTORE_OTHER],
)  # fmt: skip
def test_after_a_restore_whose_data_is_whole_every_verb_goes_on(host: Host, verb: str) -> None:
    whole(host)
    words = host.words
    assert host.verb(verb) == entry.GOOD
    assert not host.app.paths.restore.exists()
    assert host.words >= words
    if verb != transitions.RESTORE_OTHER:
        assert app_data(host.app) == "later"


def test_if_only_the_app_failed_the_same_restore_verifies_it_with_the_previous_data(
    host: Host,
) -> None:
    whole(host)
    restore_again(host)
    assert (app_data(host.app), host.words >= {"then", "later"}) == ("later", True)


@pytest.mark.parametrize("verb", [transitions.RELEASE, transitions.ROLLBACK, transitions.REMOVE])
def test_an_interrupted_restore_is_finished_first(host: Host, verb: str) -> None:
    interrupted(host)
    assert host.verb(verb) == entry.GOOD
    result = results.read(restoring.paths(host.app.paths, host.backup).result)
    assert result and result.state == VERIFIED
    assert app_data(host.app) == "later"


def test_a_release_is_refused_if_the_interrupted_restore_cannot_be_undone(host: Host) -> None:
    interrupted(host)
    host.activated.wrong = [BAD]
    with host.monkeypatch.context() as patched:
        patched.setattr(exchange.Exchange, "undo", no_disk)
        assert host.verb(transitions.RELEASE) == entry.FAILED
    assert host.released == []
    refused = results.read(host.app.paths.release(NEWEST).result)
    assert refused and f"restore {host.backup} again" in refused.fix


def test_a_restore_of_another_backup_that_does_not_exist_ends_nothing(host: Host) -> None:
    whole(host)
    assert host.run("restore", "20200101-000000-schedule", "--by", "ada") == entry.FAILED
    left = read_state(host.app.paths)
    assert left and left.backup == host.backup


def test_an_interrupted_release_gives_way_to_a_removal(host: Host) -> None:
    operations.begin(host.app.paths, Operation("release", NEWEST, "ada", 7.0))
    assert host.verb(transitions.REMOVE) == entry.GOOD
    assert host.released == []
    assert not host.app.paths.attempt.exists()


def test_an_unfinished_copy_survives_a_removal(host: Host) -> None:
    write_json(host.app.paths.copying, {"models": NEW})
    assert host.verb(transitions.REMOVE) == entry.GOOD
    assert host.app.paths.copying.exists()


def test_an_undo_that_fails_for_one_path_continues_with_it(host: Host) -> None:
    real = exchange.Exchange.undo

    def undo(one: exchange.Exchange, app: AppPaths) -> None:
        if one.target.endswith("settings.json"):
            no_disk()
        real(one, app)

    host.activated.wrong = [BAD]
    with host.monkeypatch.context() as patched:
        patched.setattr(exchange.Exchange, "undo", undo)
        assert host.run("restore", host.backup, "--by", "ada") == entry.UNRESTORED
    # The others are undone all the same.
    assert state(host.app) == (*NOW[:2], "then")
    host.app.data("settings.json", "later")
    assert host.verb(transitions.RELEASE) == entry.FAILED
    restore_again(host)
    assert (state(host.app), "later" in host.words) == (NOW, True)


RENAMES, APART = 8, 4


@pytest.mark.parametrize("at", range(1, RENAMES + 2))
def test_an_undo_that_fails_at_any_rename_loses_nothing(host: Host, at: int) -> None:
    real, undo, count = os.rename, exchange.Exchange.undo, 0

    def rename(*words: Any, **more: Any) -> None:
        nonlocal count
        count += 1
        if count == at:
            no_disk()
        real(*words, **more)

    def undo_once(one: exchange.Exchange, app: AppPaths) -> None:
        with host.monkeypatch.context() as patched:
            patched.setattr(os, "rename", rename)
            undo(one, app)

    def activate(release: Release) -> None:
        if not count and (host.app.paths.shared / "settings.json").read_text() == "then":
            host.write("during")
            raise BAD

    host.monkeypatch.setattr("gpuhost.runner.stages.activation.activate", activate)
    with host.monkeypatch.context() as patched:
        patched.setattr(exchange.Exchange, "undo", undo_once)
        status = host.run("restore", host.backup, "--by", "ada")
    assert (status == entry.FAILED) == (at > RENAMES)
    # The app is started by hand on what is in place, and overwrites that only.
    host.write("later")
    if status == entry.UNRESTORED:
        restore_again(host)
    databases = [path for path in host.app.paths.home.rglob("app.db*") if path.is_file()]
    assert any(b"later" in path.read_bytes() for path in databases)
    # Between the previous database and its log, the app starts on a database without its log.
    assert at == APART or "later" in host.rows
    assert "later" in {path.read_text() for path in host.app.paths.home.rglob("settings.json*")}


def test_two_restores_with_the_same_time_do_not_mix_what_they_set_aside(host: Host) -> None:
    """The clock was set back between them."""
    frozen = time.gmtime(1795300000)
    host.monkeypatch.setattr(time, "gmtime", lambda *seconds: frozen)
    restore_one(host)
    host.write("later")
    host.activated.wrong = [BAD]
    assert host.verb(transitions.RESTORE) == entry.FAILED
    assert state(host.app) == ("later", ["then.mp3"], "later")
    assert host.words >= {"now", "then", "later"}


def test_restored_data_that_the_app_wrote_to_is_kept_by_the_undo(host: Host) -> None:
    def activate(release: Release) -> None:
        if app_data(host.app) == "then":
            host.write("acknowledged")
            raise BAD

    host.monkeypatch.setattr("gpuhost.runner.stages.activation.activate", activate)
    assert host.run("restore", host.backup, "--by", "ada") == entry.FAILED
    assert (state(host.app), "acknowledged" in host.words) == (NOW, True)


def test_every_state_has_a_rule_for_every_verb_and_every_refusal_a_next_step() -> None:
    for rules in TABLE.values():
        assert set(rules) == set(transitions.VERBS)
        assert all(bool(rule.next) == (rule.do == REFUSE) for rule in rules.values())
    assert set(LEFT) == {left for left, _, _ in REFUSALS}


def test_the_table_in_the_docs_is_the_one_in_the_code() -> None:
    assert markdown() in (DOCS / "architecture.md").read_text(encoding="utf-8")
