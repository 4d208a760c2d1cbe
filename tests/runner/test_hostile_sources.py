"""What a repository's author writes: no link, pipe or size of a file harms the host."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.building.build_order import steps
from gpuhost.runner.contract import Masking
from gpuhost.runner.docker.services import read
from gpuhost.runner.git import checkout
from gpuhost.runner.lib import source_paths
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Source
from gpuhost.runner.resolved import env_values, tree
from gpuhost.runner.stages import source as stage
from gpuhost.runner.stages.render import render
from gpuhost.runner.state.release import Release
from tests.cpu_budget import cpu_budget
from tests.runner.host_fixtures import OLD, App, Programs, app, as_resolved, programs
from tests.runner.repositories import Repository, from_git, isolated_host, repository

__all__ = ["app", "isolated_host", "programs", "repository"]

OF_THE_HOST = "FROM of-the-host:1\nPORT=of-the-host\nfilter=lfs\n"
UNSET = 'level=warning msg="The \\"PORT\\" variable is not set. "\n'

Make = Callable[[Path, Path], object]


def as_pipe(path: Path, _: Path) -> None:
    os.mkfifo(path)


def as_link(path: Path, host: Path) -> None:
    path.symlink_to(host)


def as_link_to_a_pipe(path: Path, _: Path) -> None:
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


def as_chain_of_links(path: Path, _: Path) -> None:
    path.symlink_to("l0")
    for number in range(2000):
        path.with_name(f"l{number}").symlink_to(f"l{number + 1}")


def as_large_file(path: Path, _: Path) -> None:
    with path.open("wb") as file:
        file.truncate(source_paths.LARGEST + 1)


KINDS: dict[str, Make] = {
    "a link to a file of the host": as_link,
    "a pipe": as_pipe,
    "a link to a pipe": as_link_to_a_pipe,
    "a link to a device": lambda path, _: path.symlink_to("/dev/zero"),
    "a chain of links": as_chain_of_links,
    "a large file": as_large_file,
}


def hints(app: App, programs: Programs, make: Make, host: Path) -> str:
    """What the failure says of a variable without a value."""
    programs.answer("docker compose * json", '{"services": {}}', err=UNSET)
    release = app.release(compose=("compose.yaml",))
    release.source.mkdir()
    make(release.source / ".env.example", host)
    with pytest.raises(Failure) as failure:
        render(release)
    assert "PORT" in failure.value.said
    return failure.value.said


def attributes(app: App, make: Make, host: Path) -> str:
    release = app.release()
    release.source.mkdir()
    make(release.source / ".gitattributes", host)
    checkout._warn_of_lfs(release, release.source)
    return release.paths.log.read_text() if release.paths.log.exists() else ""


def images(app: App, name: str, make: Make, host: Path) -> str:
    """The images that a build needs, or why it fails."""
    release = app.release(source=Source("archive", "r"))
    release.source.mkdir()
    make(release.source / name, host)
    as_resolved(release, {"web": {"build": {"context": str(release.source)}}})
    try:
        return str([step.needs for step in steps(release, read(release))])
    except Failure as failure:
        return failure.said


def asked(app: App, programs: Programs, name: str, make: Make, host: Path) -> str:
    """What Compose's files are said to be, before Compose reads them."""
    programs.answer("docker compose * json", '{"services": {"web": {"image": "a:1"}}}')
    release = app.release(compose=("compose.yaml",), env_files=("app.env",))
    release.source.mkdir()
    make(release.source / name, host)
    try:
        render(release)
    except Failure as failure:
        return failure.said
    return ""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name",
    [".env.example", ".gitattributes", "Dockerfile", "dockerfile", "compose.yaml", "app.env"],
)
def test_a_file_of_the_source_is_read_only_if_it_is_one(
    app: App, programs: Programs, tmp_path: Path, name: str, kind: str
) -> None:
    host, make = tmp_path / "of-the-host", KINDS[kind]
    host.write_text(OF_THE_HOST)
    if name == ".env.example":
        said = hints(app, programs, make, host)
    elif name == ".gitattributes":
        said = attributes(app, make, host)
    elif name in ("Dockerfile", "dockerfile"):
        said = images(app, name, make, host)
    else:
        said = asked(app, programs, name, make, host)
    assert not [words for words in ("of-the-host:1", "has PORT", "LFS are not") if words in said]
    if kind == "a large file" and name != ".env.example":
        assert f"{name} in the source has 1 MB" in said


def test_a_lower_case_dockerfile_is_read_and_may_be_a_link_in_the_source(app: App) -> None:
    def make(path: Path, _: Path) -> None:
        path.with_name("other").write_text("FROM a:1\n")
        path.symlink_to("other")

    assert "a:1" in images(app, "dockerfile", make, Path())


ENV_TEXTS = {
    "blanks in a value": "PASSWORD=x" + " " * 500_000 + "y",
    "blank lines": "\n" * 1_000_000,
    "blanks before a name": " " * 1_000_000 + "PASSWORD=x",
    "many names": "PASSWORD=\n" * 90_000,
}


@pytest.mark.parametrize("text", ENV_TEXTS.values(), ids=ENV_TEXTS)
def test_the_time_for_a_variable_is_not_the_square_of_its_length(
    app: App, programs: Programs, text: str
) -> None:
    with cpu_budget():
        assert len(list(env_values.guessed_secrets({".env": text[:16_000]}, ""))) <= 1

        def make(path: Path, _: Path) -> None:
            path.write_text(text)

        hints(app, programs, make, Path())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("".join(f"KEY_{n}_PASSWORD=secret-{n}\n" for n in range(501)), "more than 500 values"),
        ("API_PASSWORD=" + "x" * 20_000, "API_PASSWORD: a long value"),
        ("".join(f"A{n}_SECRET={'x' * 5000}{n}\n" for n in range(20)), "A13_SECRET: a long value"),
        ("".join(f"A{n}_SECRET={'€' * 1000}{n}\n" for n in range(9)), "A4_SECRET: a long value"),
    ],
)
def test_values_that_no_log_can_mask_are_refused(text: str, said: str) -> None:
    with pytest.raises(Failure, match=rf"^app\.env: {said}") as failure:
        list(env_values.guessed_secrets({"app.env": text}, ""))
    assert "secret-" not in failure.value.said
    assert "xxx" not in failure.value.said
    assert failure.value.fix


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('\ufeffexport API_KEY = "hunter-22"\n', "hunter-22"),
        ("A_TOKEN='hunter-22\nand-more'\nB=1\n", "hunter-22 and-more"),
        ('A_TOKEN="hunter\\"22-and"\n', 'hunter"22-and'),
        ('A_TOKEN="hunter-22\\nand-more" # mine\n', "hunter-22 and-more"),
        ('A_TOKEN="hunter-22\r\nB_TOKEN=and-more\r\n', "hunter-22 and-more"),
        ("A_TOKEN: hunter-22  \nB_TOKEN='", "hunter-22"),
    ],
)
def test_a_value_of_an_env_file_is_masked_whole(text: str, said: str) -> None:
    masked = Masking(env_values.guessed_secrets({".env": text}, ""))
    assert set(masked(said).split()) == {"***"}


def test_values_of_the_compose_files_that_no_log_can_mask_are_refused(
    app: App, programs: Programs
) -> None:
    values = {f"A{n}_SECRET": "€" * 400 + str(n) for n in range(11)}
    model = {"services": {"web": {"image": "a:1", "environment": values}}}
    programs.answer("docker compose * json", json.dumps(model))
    release = app.release(compose=("compose.yaml",))
    release.source.mkdir()
    with (
        cpu_budget(),
        pytest.raises(Failure, match=r"web: A10_SECRET: a long value .* named like secrets"),
    ):
        render(release)
    assert not release.paths.resolved.exists()
    # A secret that was given is bounded when it is given.
    given = app.release(OLD, compose=("compose.yaml",), given={"A": values["A0_SECRET"]})
    given.source.mkdir()
    del values["A1_SECRET"]
    programs.answer("docker compose * json", json.dumps(model))
    render(given)


def test_the_values_that_are_accepted_are_masked_soon() -> None:
    text = "".join(f"A{n}_SECRET={'€' * 400}{n}\n" for n in range(10))
    with cpu_budget():
        values = list(env_values.guessed_secrets({"app.env": text}, ""))
        for _ in range(20):
            # As each question to Compose makes one.
            assert Masking(values)(f"is {values[0]}") == "is ***"


def test_a_submodule_in_a_mounted_source_changes_no_digest(app: App) -> None:
    """Its .git is another one in each checkout."""
    release = app.release()
    (release.source / "models").mkdir(parents=True)
    (release.source / "models/file").write_text("x")
    digest = tree.read(release.source, app.paths.shared, ["."])["."].digest
    (release.source / "models/.git").write_text("gitdir: elsewhere")
    assert tree.read(release.source, app.paths.shared, ["."])["."].digest == digest
    assert not tree.keep(release.source, ".", digest, app.paths.files)
    assert not tree.keep(release.source, ".", digest, app.paths.files)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("open {}: no such file or directory", "a" * 5000),
        ("env file {} not found", "/"),
        ("env file {} not found", "../" * 2000),
    ],
)
def test_a_path_in_a_message_of_compose_may_be_anything(
    app: App, programs: Programs, line: str, hint: str
) -> None:
    programs.answer("docker compose *", err=line.format(hint), status=1)
    release = app.release(compose=("compose.yaml",))
    release.source.mkdir()
    with pytest.raises(Failure, match="docker compose config refuses the app's files"):
        render(release)


def test_an_answer_that_is_nested_too_deeply(app: App, programs: Programs) -> None:
    nested = '{"x-a":' * 20_000 + "1" + "}" * 20_000
    programs.answer("docker compose * json", then=f"cat {app.paths.home}/nested")
    release = app.release(compose=("compose.yaml",))
    (app.paths.home / "nested").write_text(nested)
    release.source.mkdir()
    with pytest.raises(Failure, match="nested too deeply"):
        render(release)


@pytest.mark.parametrize(
    "model",
    [
        {"volumes": {"v": {"driver_opts": {"o": "upperdir=/srv/u\0p,workdir=/srv/w"}}}},
        {"services": {"web": {"volumes": [{"type": "bind", "source": "/srv/a\ud800"}]}}},
        {"services": {"web": {"environment": {"A\0B": "1"}}}},
    ],
    ids=["volume", "bind", "key"],
)
def test_a_character_that_no_path_can_have_is_refused(
    app: App, programs: Programs, model: dict[str, Any]
) -> None:
    programs.compose({"web": {}})
    answer = json.dumps({"services": {"web": {}}, **model})
    programs.answer("docker compose * json", answer)
    release = app.release(compose=("compose.yaml",))
    release.source.mkdir()
    before = release.paths.resolved.read_bytes()
    with pytest.raises(Failure, match="a character that no path or variable can have") as raised:
        render(release)
    assert raised.value.said.isascii() and "\0" not in raised.value.said
    assert release.paths.resolved.read_bytes() == before


DAMAGED = {
    "cut off": '{"files": ["key"]',
    "empty": "",
    "another shape": '{"files": {"a": 1}, "directories": 3}',
    "a list": "[]",
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_a_source_in_which_secrets_may_be_left_is_made_again(
    app: App, repository: Repository, programs: Programs, text: str
) -> None:
    """The record of what was placed in it is damaged: no image must get the secret."""
    programs.answer("docker compose * json", json.dumps({"services": {"web": {"image": "a:1"}}}))
    release = app.release(source=from_git(repository.first, repository.url))
    stage.fetch(release)
    (release.source / "key").write_text("SECRET")
    (release.source / "Dockerfile").rename(release.paths.home / ".placed-0")
    (release.source / "Dockerfile").write_text("SECRET")
    (release.paths.home / "placed.json").write_text(text)
    with pytest.raises(Failure, match=r"placed\.json is damaged: secrets may be in the source"):
        render(release)
    # The advice of that failure.
    stage.fetch(release)
    assert "first" in (release.source / "Dockerfile").read_text()
    assert not (release.source / "key").exists()
    assert not list(release.paths.home.glob("*placed*"))
    assert "the source is made again" in release.paths.log.read_text()


def test_a_release_without_a_source_forgets_what_was_placed(app: App) -> None:
    release: Release = app.release()
    stage.fetch(release)
    (release.source / "key").write_text("SECRET")
    (release.paths.home / "placed.json").write_text("{")
    stage.fetch(release)
    assert not list(release.source.iterdir())
