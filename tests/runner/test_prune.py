"""Pruning: old releases are removed, except what a rollback needs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.runner.contract import Result
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import point, write_json
from gpuhost.runner.stages import carry_out
from gpuhost.runner.stages.prune import Existing, kept_ids, old_failed_ids, prune, trim
from gpuhost.runner.state.release import Release
from tests.runner.fake_tools import Docker, docker
from tests.runner.host_fixtures import App, app, unreadable

__all__ = ["app", "docker"]


def an_id(number: int) -> str:
    return f"202601{number:02d}-000000-{number:08x}"


def case(letters: str) -> list[Existing]:
    """Releases in order: v verified, f failed; a digit: a rollback to the release of this index."""
    return [
        Existing(str(n), letter if letter.isdigit() else str(n), letter != "f")
        for n, letter in enumerate(letters)
    ]


@pytest.mark.parametrize(
    ("letters", "current", "keep", "kept"),
    [
        ("v", 0, 3, "0"),
        ("vvvvv", 4, 3, "234"),
        ("vvvvv", 4, 2, "34"),
        # An old release is current: it is kept, and the one before it.
        ("vvvvv", 1, 2, "0134"),
        ("vvvvv", 0, 2, "034"),
        # Failed releases do not replace verified ones; the last ones are kept for their logs.
        ("vvffffff", 1, 2, "0167"),
        ("fff", 2, 2, "012"),
        ("vffvff", 3, 2, "0345"),
        # A rollback uses the files of another release, which is kept.
        ("vvvv0", 4, 2, "034"),
        ("vvv00", 4, 2, "0234"),
        ("vv0000", 5, 2, "0145"),
    ],
)
def test_which_releases_are_kept(letters: str, current: int, keep: int, kept: str) -> None:
    assert "".join(sorted(kept_ids(case(letters), str(current), keep))) == kept


@given(st.text("vf", min_size=1, max_size=9), st.integers(0, 8), st.integers(2, 4))
def test_the_current_release_and_one_for_a_rollback_are_always_kept(
    letters: str, place: int, keep: int
) -> None:
    found, current = case(letters), str(place % len(letters))
    kept = kept_ids(found, current, keep)
    assert current in kept
    others = [one for one in found if one.is_verified and one.id != current]
    assert not others or any(one.id in kept for one in others)
    before = [one.id for one in others if one.id < current]
    assert not before or before[-1] in kept


def released(
    app: App, docker: Docker, number: int, state: str = "verified", **plan: Any
) -> Release:
    """A release that has ended, and its image."""
    release_id = an_id(number)
    release = app.release(release_id, **{"keep_releases": 2, **plan})
    image, tag = f"sha256:{number:064x}", f"gpuhost/app/web:{number:012x}"
    docker.images[image], docker.tags[tag] = {"Id": image}, image
    release.remember(images={"web": image}, tags={"web": tag})
    ended = Result(release_id, "app", "release", state, "me", "r", release_id, 1.0, 2.0)
    write_json(release.paths.result, asdict(ended))
    if state == "verified":
        point(app.paths.current, f"releases/{release_id}")
    return release


def left(app: App, docker: Docker) -> tuple[list[str], list[str]]:
    docker.read()
    return sorted(path.name for path in app.paths.releases.iterdir()), sorted(docker.tags)


def test_directories_and_tags_are_removed_and_data_is_kept(app: App, docker: Docker) -> None:
    app.data("data/app.db", "rows")
    (app.paths.backups / "one").mkdir(parents=True)
    states = ("verified", "restored", "verified", "failed", "undone", "failed", "verified")
    for number, state in enumerate(states):
        release = released(app, docker, number, state)
    docker.tags |= {"gpuhost/other/web:1": "x", "app-web:latest": "x", "gpuhost/app2/web:1": "x"}
    docker.write()
    (app.paths.releases / ".20260199-000000-aaaaaaaa.new").mkdir()
    (app.paths.releases / "notes of a person").mkdir()
    prune(release)
    ids = [an_id(number) for number in (2, 4, 5, 6)]
    directories, tags = left(app, docker)
    assert directories == [".20260199-000000-aaaaaaaa.new", *ids, "notes of a person"]
    assert tags == [
        "app-web:latest",
        *(f"gpuhost/app/web:{number:012x}" for number in (2, 4, 5, 6)),
        "gpuhost/app2/web:1",
        "gpuhost/other/web:1",
    ]
    assert (app.paths.shared / "data/app.db").read_text() == "rows"
    assert (app.paths.backups / "one").is_dir()
    said = release.paths.log.read_text()
    assert "kept 4 releases; removed" in said
    assert an_id(0) in said
    verbs = {" ".join(call["words"][:2]) for call in docker.calls}
    assert verbs == {"info --format", "image ls", "image rm"}
    assert not any({"-f", "--force"} & set(call["words"]) for call in docker.calls)


def test_a_release_of_a_slow_clock_keeps_its_archive_while_an_older_one_is_finished(
    app: App, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = [released(app, docker, number, "failed") for number in (2, 3, 4)]
    for number, release in enumerate(failed, start=1):
        release.remember(sequence=number)
        release.paths.archive.touch()
    docker.write()
    new = app.release(an_id(1), keep_releases=2)
    new.paths.archive.touch()

    def finish(*_: object) -> str:
        trim(failed[-1])
        raise Failure("the interrupted one cannot be undone")

    monkeypatch.setattr(carry_out, "end_unfinished", finish)
    assert carry_out.run_new(app.paths, "release", new.plan.id) == carry_out.Exit.FAILED
    kept = [release.paths.archive.exists() for release in (*failed, new)]
    assert kept == [False, False, True, True]


def test_an_image_that_a_container_uses_is_kept(app: App, docker: Docker) -> None:
    for number in range(4):
        release = released(app, docker, number)
    tag = f"gpuhost/app/web:{0:012x}"
    docker.fails = {f"rm {tag}": {"rc": 1, "out": "conflict"}}
    docker.write()
    prune(release)
    assert f"{tag} is kept" in release.paths.log.read_text()
    assert tag in left(app, docker)[1]
    assert f"gpuhost/app/web:{1:012x}" not in left(app, docker)[1]


def test_a_tag_that_a_kept_release_shares_is_kept(app: App, docker: Docker) -> None:
    for number in range(4):
        release = released(app, docker, number)
    oldest = f"gpuhost/app/web:{0:012x}"
    release.remember(tags={"web": oldest})
    docker.write()
    prune(release)
    assert oldest in left(app, docker)[1]


def test_the_release_that_a_rollback_uses_is_kept(app: App, docker: Docker) -> None:
    for number in range(4):
        released(app, docker, number)
    rollback = released(app, docker, 5, rollback_of=an_id(0))
    docker.write()
    prune(rollback)
    assert left(app, docker)[0] == [an_id(0), an_id(3), an_id(5)]


@pytest.mark.parametrize("text", ["{", "[]", '{"tags": 1}'])
def test_with_an_unreadable_record_no_image_is_untagged(
    app: App, docker: Docker, text: str
) -> None:
    for number in range(4):
        release = released(app, docker, number)
    app.paths.release(an_id(2)).record.write_text(text)
    docker.write()
    prune(release)
    directories, tags = left(app, docker)
    assert directories == [an_id(2), an_id(3)]
    assert len(tags) == 4
    assert "no image is untagged" in release.paths.log.read_text()


def test_the_original_of_a_rollback_of_another_runner_version_is_kept(
    app: App, docker: Docker
) -> None:
    releases = [released(app, docker, number) for number in range(4)]
    plan = {"format": 99, "rollback_of": an_id(0)}
    releases[3].paths.plan.write_text(json.dumps(plan))
    docker.write()
    prune(released(app, docker, 4))
    assert left(app, docker)[0] == [an_id(number) for number in (0, 3, 4)]


def test_nothing_is_removed_while_a_plan_is_damaged(app: App, docker: Docker) -> None:
    """It may be of a rollback, which uses the files of another release."""
    releases = [released(app, docker, number) for number in range(5)]
    releases[1].paths.plan.write_text("{")
    docker.write()
    before = left(app, docker)
    for remove in (prune, trim):
        with pytest.raises(Failure, match=f"rm -r {releases[1].paths.home}"):
            remove(releases[4])
    assert left(app, docker) == before


def test_a_release_whose_result_is_damaged_is_kept_and_does_not_count(
    app: App, docker: Docker
) -> None:
    releases = [with_source(app, docker, number, "verified") for number in range(5)]
    releases[1].paths.result.write_text("{")
    failed = [with_source(app, docker, number, "failed") for number in range(5, 8)]
    docker.write()
    point(app.paths.current, f"releases/{an_id(4)}")
    trim(failed[-1])
    assert releases[1].paths.source.exists()
    prune(releases[4])
    assert left(app, docker)[0] == [an_id(number) for number in (1, 3, 4, 6, 7)]
    assert f"-r {releases[1].paths.home}" in releases[4].paths.log.read_text()


@pytest.mark.parametrize("file", ["result.json", "record.json", "plan.json"])
def test_nothing_is_removed_while_the_disk_cannot_read_a_file(
    app: App, docker: Docker, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    """The one before the current one, which a rollback needs."""
    releases = [released(app, docker, number) for number in range(4)]
    docker.write()
    before = left(app, docker)
    with monkeypatch.context() as patched:
        unreadable(patched, releases[2].paths.home / file)
        for remove in (prune, trim):
            with pytest.raises(OSError, match="Input/output"):
                remove(releases[3])
    assert left(app, docker) == before


@pytest.mark.parametrize(
    ("letters", "current", "keep", "spent"),
    [
        ("fff", "", 2, "0"),
        ("ff", "", 2, ""),
        ("vvvvvv", "5", 2, ""),
        ("fvfff", "1", 2, "02"),
        # The current release, and the one that a rollback uses, keep their sources with any result.
        ("fffff", "0", 2, "12"),
        ("ffff0", "4", 2, "1"),
    ],
)
def test_which_sources_are_removed(letters: str, current: str, keep: int, spent: str) -> None:
    assert "".join(old_failed_ids(case(letters), current, keep)) == spent


@given(st.text("vf012", min_size=1, max_size=12), st.integers(0, 11), st.integers(2, 4))
def test_sources_of_verified_releases_are_never_removed(
    letters: str, place: int, keep: int
) -> None:
    found, current = case(letters), str(place % len(letters))
    spent = set(old_failed_ids(found, current, keep))
    assert not spent & {one.id for one in found if one.is_verified}
    assert not spent & {one.original for one in found if one.is_verified}
    assert current not in spent


def with_source(app: App, docker: Docker, number: int, state: str) -> Release:
    release = released(app, docker, number, state)
    paths = release.paths
    for directory in (paths.source, paths.new_source, paths.unpacked_overlay):
        (directory / "src").mkdir(parents=True)
    for archive in (paths.archive, paths.overlay):
        archive.write_text("packed")
    release.log.write("what happened")
    return release


def test_sources_of_old_failed_releases_are_removed_and_their_logs_kept(
    app: App, docker: Docker
) -> None:
    states = ("failed", "verified", "failed", "restored", "undone", "failed")
    releases = [with_source(app, docker, number, state) for number, state in enumerate(states)]
    docker.write()
    trim(releases[-1])
    emptied = [n for n, one in enumerate(releases) if not one.paths.source.exists()]
    assert emptied == [0, 2, 3]
    for number, one in enumerate(releases):
        names = {path.name for path in one.paths.home.iterdir()}
        assert {"plan.json", "log", "result.json", "record.json"} <= names
        of_source = {"source", ".source.new", "source.tar.gz", ".overlay.new", "overlay.tar.gz"}
        assert names & of_source == (set() if number in emptied else of_source)
    directories, tags = left(app, docker)
    assert directories == [an_id(number) for number in range(6)]
    assert tags == [f"gpuhost/app/web:{number:012x}" for number in (1, 4, 5)]
    said = releases[-1].paths.log.read_text()
    assert f"removed {an_id(0)}, {an_id(2)}, {an_id(3)}; untagged" in said
    docker.calls_made.unlink()
    trim(releases[-1])
    assert docker.calls == []
