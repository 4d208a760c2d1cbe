"""A project whose author means harm: an error with words in a short time, and no file of others."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gpuhost.appfile.compose.project_files import LocalFiles, Unreadable
from gpuhost.appfile.errors import BadApp
from gpuhost.appfile.loading import load
from gpuhost.appfile.proposing.examples import read
from gpuhost.appfile.proposing.propose import propose
from gpuhost.appfile.proposing.reading import dotenv_of
from gpuhost.appfile.proposing.tree import Tree
from tests.cpu_budget import cpu_budget

WEB = "services: {web: {image: a:1}}\n"
MB = 1 << 20
Content = str | Callable[[Path], object]


def link(target: str) -> Callable[[Path], object]:
    return lambda path: path.symlink_to(target)


def compose(text: str = WEB, **more: Content) -> dict[str, Content]:
    """+ more: other files; b_yaml is b.yaml"""
    return {"compose.yaml": text, **{key.replace("_", "."): value for key, value in more.items()}}


def include(*names: str) -> str:
    return f"include: [{', '.join(names)}]\n{WEB}"


def extending(count: int, base: str = "image: a") -> str:
    lines = [f"  s0: {{{base}}}", *(f"  s{n + 1}: {{extends: s{n}}}" for n in range(count))]
    return "services:\n" + "\n".join(lines) + "\n"


LIST = ",".join(f'"{n}"' for n in range(20_000))
NAMES = ",".join(f"K{n}: v" for n in range(5000))
OF_FILE = "".join(f"  s{n}: {{extends: {{file: b.yaml, service: s}}}}\n" for n in range(2000))
OUT = "leads out of the source"
NOT_OURS = "is not in the project"

REFUSED: dict[str, tuple[dict[str, Content], str]] = {
    "a Compose file that is a link out": ({"compose.yaml": link("/etc/passwd")}, OUT),
    "a Compose file that is a pipe": ({"compose.yaml": os.mkfifo}, "not a regular file"),
    "an include that is a link out": (compose(include("b.yaml"), b_yaml=link("/etc/passwd")), OUT),
    "an include elsewhere": (compose(include("/etc/passwd")), NOT_OURS),
    "an include above": (compose(include("../../b.yaml")), NOT_OURS),
    "an include of the network": (
        compose(include('"https://example.com/x.git"')),
        "no such file in the source",
    ),
    "an env file of an include elsewhere": (
        compose(include("{path: b.yaml, env_file: /etc/passwd}"), b_yaml=WEB),
        NOT_OURS,
    ),
    "an env file of an include above": (
        compose(include("{path: b.yaml, env_file: ../../x}"), b_yaml=WEB),
        NOT_OURS,
    ),
    "a directory of an include above": (
        compose(include("{path: b.yaml, project_directory: ../..}"), b_yaml=WEB),
        NOT_OURS,
    ),
    "extends elsewhere": (
        compose("services: {web: {extends: {file: /etc/passwd, service: a}}}\n"),
        NOT_OURS,
    ),
    "a .env that is a link out": (compose(_env=link("/etc/passwd")), OUT),
    "a .env that is a device": (compose(_env=link("/dev/zero")), OUT),
    "a .env that is a pipe": (compose(_env=os.mkfifo), "not a regular file"),
    "a .env that doubles": (
        compose(_env="A0=x\n" + "".join(f"A{n + 1}=$A{n}$A{n}\n" for n in range(60))),
        "variables that become too large",
    ),
    "a .env with many large values": (
        compose(_env="A=" + "x" * 100_000 + "\n" + "".join(f"B{n}=$A\n" for n in range(50_000))),
        "values of more than",
    ),
    "a variable often": (
        compose(
            'services: {web: {image: "' + "${A}" * 2000 + '"}}\n', _env="A=" + "x" * 500_000 + "\n"
        ),
        "its variables become too large",
    ),
    "a variable in many values": (
        compose(
            "services: {web: {image: a, labels: [" + "'${A}'," * 5000 + "'b']}}\n",
            _env="A=" + "x" * 500_000 + "\n",
        ),
        "its variables become too large",
    ),
    "defaults in defaults": (
        compose('services: {web: {image: "' + "${A:-" * 5000 + "}" * 5000 + '"}}\n'),
        "its variables become too large",
    ),
    "a long chain of extends": (compose(extending(300)), "a chain of more than 50"),
    "large services that extend each other": (
        compose(extending(300, f"image: a, environment: {{{NAMES}}}")),
        "more than 500000 values, with extends and include expanded",
    ),
    "a large file that many extend": (
        compose(
            f"services:\n{OF_FILE}",
            b_yaml="services: {s: {image: a}}\nx-a: [" + "1," * 20_000 + "1]\n",
        ),
        "more than 500000 values, with extends and include expanded",
    ),
    "aliases of aliases": (
        compose(
            "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
            + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
            + WEB
        ),
        "more than 50000 values",
    ),
}

READ: dict[str, dict[str, Content]] = {
    "merged mappings": compose(
        "x-a: &a\n" + "".join(f"  k{n}: v\n" for n in range(10_000)) + f"x-b:\n  <<: *a\n{WEB}"
    ),
    "a .env of short lines": compose(_env="A=1\n" * (MB // 8)),
    "a .env with an open quote": compose(_env='A="' + "x\n" * (MB // 2 - 10)),
    "a .env with blanks": compose(_env="A=x" + " " * (MB - 10) + "y"),
    "two long lists": compose(
        f"services: {{web: {{image: a, dns: [{LIST}]}}}}\n",
        compose_override_yml=f"services: {{web: {{dns: [{LIST}, '0.1']}}}}\n",
    ),
}


def project(tmp_path: Path, files: dict[str, Content]) -> Path:
    """The app file of a project with these files."""
    (tmp_path / "project").mkdir()
    for name, content in files.items():
        path = tmp_path / "project" / name
        if callable(content):
            content(path)
        else:
            path.write_text(content)
    app = tmp_path / "web.yaml"
    app.write_text("x-gpuhost:\n  source: {directory: project}\n")
    return app


@pytest.mark.parametrize(("files", "said"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_with_words(tmp_path: Path, files: dict[str, Content], said: str) -> None:
    app = project(tmp_path, files)
    with cpu_budget(), pytest.raises(BadApp) as error:
        load(app)
    assert [line for line in error.value.lines if said in line]
    assert not [line for line in error.value.lines if "root:" in line]


@pytest.mark.parametrize("files", READ.values(), ids=READ)
def test_the_time_is_not_the_square_of_the_size(tmp_path: Path, files: dict[str, Content]) -> None:
    app = project(tmp_path, files)
    with cpu_budget():
        assert "web" in load(app).compose.services


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(100 << 30)
    with pytest.raises(Unreadable, match="larger than 1048576 bytes"):
        LocalFiles(tmp_path).read("large")


def test_a_link_in_the_project_is_followed(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(WEB)
    (tmp_path / "a.yaml").symlink_to("b.yaml")
    (tmp_path / "loop").symlink_to("loop")
    assert LocalFiles(tmp_path).read("a.yaml") == WEB
    with pytest.raises(Unreadable):
        LocalFiles(tmp_path).read("loop")


def test_a_proposal_leaves_out_what_cannot_be_read(tmp_path: Path) -> None:
    nested = "A=" + "${A:-" * 100 + "}" * 100 + "\n"
    (tmp_path / ".env").write_text("A0=x\n" + "".join(f"A{n + 1}=$A{n}$A{n}\n" for n in range(60)))
    (tmp_path / ".env.example").write_text(f"{nested}B=1\n")
    tree = Tree(LocalFiles(tmp_path), (".env", ".env.example"))
    assert dotenv_of(tree, ".") == {}
    assert read(tree, ".env.example")["B"].value == "1"


def test_values_in_two_lines(tmp_path: Path) -> None:
    """As they were read before, when each line was looked at again and again."""
    text = 'A=\'one\ntwo\' # no\nB="a\\"\nb"\nC=c #d\nD=#e\nE=f#g \nF="open\nG=1'
    app = project(tmp_path, compose(_env=text))
    values = dotenv_of(Tree(LocalFiles(app.parent / "project"), (".env",)), ".")
    assert values == {
        "A": "one\ntwo", "B": 'a"\nb', "C": "c", "D": "", "E": "f#g", "F": '"open\nG=1',
    }  # fmt: skip


def environment(value: str) -> dict[str, Content]:
    text = (
        f'services: {{web: {{image: a:1, environment: {{URL: "{value}", DATABASE: "{value}"}}}}}}\n'
    )
    return compose(text)


def built(dockerfile: str, **more: Content) -> dict[str, Content]:
    return {**compose("services: {web: {build: .}}\n", **more), "Dockerfile": dockerfile}


PROPOSED: dict[str, dict[str, Content]] = {
    "a long word in a value": environment("a" * 300_000),
    "a word often in a value": environment("sqlite" * 50_000),
    "a word often in a command": compose(
        f"services: {{db: {{image: a:1}}, web: {{image: a:1, command: {'goose ' * 100_000}}}}}\n"
    ),
    "an instruction of many lines": built("FROM a:1\nRUN " + "x \\\n" * 200_000),
    "a word often in a text": built("FROM base-of-project\n", README_md="docker build " * 70_000),
}


@pytest.mark.parametrize("files", PROPOSED.values(), ids=PROPOSED)
def test_a_proposal_takes_no_longer(tmp_path: Path, files: dict[str, Content]) -> None:
    app = project(tmp_path, files)
    names = tuple(sorted(files))
    with cpu_budget():
        assert propose("web", app, Tree(LocalFiles(tmp_path / "project"), names), ()).text
