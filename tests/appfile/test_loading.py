"""Finding and reading an app file, with any content."""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gpuhost.appfile.errors import BadApp
from gpuhost.appfile.loading import MAX_BYTES, PACKAGED, find, load
from gpuhost.appfile.schema import block_schema
from gpuhost.release.archive import BadDirectory
from gpuhost.release.overlay import read_overlay
from tests.appfile.files import SERVICES, file_of

GOOD = (PACKAGED / "english-listening-trainer.yaml").read_bytes()


def refused(path: Path) -> list[str]:
    with pytest.raises(BadApp) as error:
        load(path)
    assert str(error.value) == "; ".join(error.value.lines)
    return [line.removeprefix(str(path)) for line in error.value.lines]


def test_an_app(tmp_path: Path) -> None:
    path = tmp_path / "tts-2.yaml"
    text = f"# 语音\r\nx-gpuhost: {{source: {{directory: .}}, project: other}}\n{SERVICES}"
    path.write_text(text, encoding="utf-8", newline="")
    app = load(path)
    assert (app.name, app.path, app.project) == ("tts-2", path, "other")
    assert app.text == path.read_bytes()
    assert b"\r\n" in app.text
    assert list(app.compose.services) == ["app", "worker", "proxy"]


@pytest.mark.parametrize("context", ["github.com/x/y", "https://x/y.git", "/srv/y", "."])
def test_a_remote_build_context_needs_no_source(context: str, tmp_path: Path) -> None:
    app = load(file_of(tmp_path, f"services: {{app: {{build: {{context: '{context}'}}}}}}"))
    assert app.block.source is None


@pytest.mark.parametrize("block", ["", "x-gpuhost:\n", "x-gpuhost: {}\n"])
def test_a_compose_file_of_images_is_an_app(block: str, tmp_path: Path) -> None:
    app = load(file_of(tmp_path, block + "services: {app: {image: 'a:1'}}"))
    assert app.project == app.name == "tts"
    assert app.block.source is None


FILES: list[tuple[bytes, list[str]]] = [
    (b"", [":1: an app file must be a mapping, with x-gpuhost, services or both"]),
    (b"- a", [":1: an app file must be a mapping, with x-gpuhost, services or both"]),
    (
        b"x-a: 1",
        [":1: no services here, and no compose.yaml, compose.yml, docker-compose.yml, docker-co"],
    ),
    (b"a: 1\nservices: {}", [":2: services: must be a mapping with at least one service"]),
    (b"services: [a]", [":1: services: must be a mapping with at least one service"]),
    (b"services: {a: {}}\nx-gpuhosts: {}", [":2: x-gpuhosts: did you mean x-gpuhost?"]),
    (b"services: {a: {}}\nX-GPUHOST: {}", [":2: X-GPUHOST: did you mean x-gpuhost?"]),
    (b"services: {a: {}}\nx-gpuhost: [1]", [":2: x-gpuhost = a list: a mapping with project, co"]),
    (b"services: {a: {}}\nx-gpuhost: yes", [":2: x-gpuhost = 'yes': a mapping with project, com"]),
    (
        b"services: {a: {}}\ninclude:\n  - b.yaml\n  - {path: [c.yaml]}",
        [":3: TMP/b.yaml: no such file in the source", ":4: TMP/c.yaml: no such file in the sou"],
    ),
    (
        b"services:\n  a:\n    extends: {file: b.yaml, service: a}",
        [":3: TMP/b.yaml: no such file in the source"],
    ),
    (b"services:\n  a: {extends: b}", [":2: services.a extends b: no such service"]),
    (
        b"services:\n  a:\n    build: ..",
        [":3: services.a.build: .. leads out of the source; set x-gpuhost.source to a directory"],
    ),
    (
        b"services:\n  a:\n    volumes: ['../b:/b']",
        [":3: services.a.volumes: ../b leads out of the source; set x-gpuhost.source to a dir"],
    ),
    (
        b"services:\n  a: {image: a}\nconfigs:\n  b: {file: ../b}\nsecrets:\n  c: {file: ../c}",
        [
            ":4: configs.b.file: ../b leads out of the source; set x-gpuhost.source to a dir",
            ":6: secrets.c.file: ../c leads out of the source; set x-gpuhost.source to a dir",
        ],
    ),
    *(
        (
            b"services:\n  a:\n    image: a\n    " + written.encode(),
            [f":4: services.a.{key}: {path} is not the app's: "],
        )
        for written, key, path in (
            (
                "env_file: /opt/gpuhost/other/current/secrets.env",
                "env_file",
                "/opt/gpuhost/other/current/secrets.env",
            ),
            ("env_file: [{path: //etc/shadow, required: false}]", "env_file", "//etc/shadow"),
            ("label_file: /var/lib/docker/x", "label_file", "/var/lib/docker/x"),
            ("build: /opt/gpuhost/other", "build", "/opt/gpuhost/other"),
            ("build: {context: /}", "build", "/"),
        )
    ),
    (b"services:\n  a: \xff", [":2: not UTF-8"]),
    (b"\xff\xfes\x00", [":1: not UTF-8"]),
    (b"a: [", [":1: not YAML: while parsing a flow node: expected the node content, but found '"]),
    (b"[" * 5000, [": nested too deeply"]),
    (b"#" * (MAX_BYTES + 1), [f": larger than {MAX_BYTES} bytes"]),
]


@pytest.mark.parametrize(("text", "said"), FILES, ids=[text[:20] for text, _ in FILES])
def test_invalid_files(text: bytes, said: list[str], tmp_path: Path) -> None:
    path = tmp_path / "tts.yaml"
    path.write_bytes(text)
    lines = refused(path)
    assert len(lines) == len(said)
    for line, beginning in zip(lines, said, strict=True):
        assert line.replace(str(tmp_path), "TMP").startswith(beginning)


def test_a_path_of_the_host_that_its_author_may_name(tmp_path: Path) -> None:
    path = tmp_path / "tts.yaml"
    files = "/etc/tts.env, /srv/tts.env, /opt/gpuhost/tts/shared/x.env"
    path.write_text(f"services:\n  a:\n    build: /srv/tts\n    env_file: [{files}]\n")
    assert [file.path for file in load(path).compose.services["a"].env_files] == files.split(", ")


def test_a_mount_of_the_host_is_for_the_host_to_judge(tmp_path: Path) -> None:
    """Monitoring needs these."""
    path = tmp_path / "tts.yaml"
    mounts = ("/:/host:ro", "/var/lib/docker:/docker:ro", "/etc:/etc-of-the-host:ro")
    path.write_text(f"services:\n  a:\n    image: a\n    volumes: [{', '.join(mounts)}]\n")
    sources = [mount.source for mount in load(path).compose.services["a"].mounts]
    assert sources == ["/", "/var/lib/docker", "/etc"]


# One mistake in where the project is, and the only line about it.
WHERE: dict[str, tuple[str, str]] = {
    "a source that is missing": (
        "source: {directory: ../gone}\n  gpu: {web: {}}",
        ":2: x-gpuhost.source.directory = '../gone': no such directory on this machine; it is "
        "relative to the app file",
    ),
    "the home of an unknown user": (
        "source: {directory: '~nobody-here/x'}",
        ":2: x-gpuhost.source.directory = '~nobody-here/x': no such directory on this machine; it "
        "is relative to the app file",
    ),
    "a misspelt key": ("surce: {directory: .}", ":2: x-gpuhost.surce: unknown key: did you mean "),
    "an invalid source": (
        "source: {directory: ., git: 'https://a/b'}\n  one_shots: [web]",
        ":2: x-gpuhost.source: give either git or directory",
    ),
    "a path that leads out": (
        "compose: ../compose.yml\n  one_shots: [web]",
        ":2: x-gpuhost.compose[0] = '../compose.yml': a path without ..",
    ),
}


@pytest.mark.parametrize(("block", "expected"), WHERE.values(), ids=WHERE)
def test_a_project_that_is_elsewhere_is_one_error(
    block: str, expected: str, tmp_path: Path
) -> None:
    (line,) = refused(file_of(tmp_path, f"x-gpuhost:\n  {block}\n"))
    assert line.startswith(expected)


def test_an_overlay_in_the_home_of_an_unknown_user_is_absent(tmp_path: Path) -> None:
    block = "x-gpuhost: {source: {directory: ., overlay: '~nobody-here/x'}}\n"
    app = load(file_of(tmp_path, f"{block}{SERVICES}"))
    with pytest.raises(BadDirectory, match=r"source\.overlay .*~nobody-here/x is not a directory"):
        read_overlay(app)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert refused(tmp_path / "tts.yaml") == [": cannot be read: No such file or directory"]
    (tmp_path / "dir.yaml").mkdir()
    assert refused(tmp_path / "dir.yaml") == [": cannot be read: Is a directory"]
    assert refused(tmp_path / "a\0b" / "tts.yaml") == [": cannot be read: not a path"]
    assert "the file name is the app's name" in refused(tmp_path / "TTS.yaml")[0]


def test_a_file_of_the_user_wins_over_a_packaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find("z-pulse") == PACKAGED / "z-pulse.yaml"
    own = Path("apps") / "z-pulse.yaml"
    own.parent.mkdir()
    own.touch()
    assert find("z-pulse") == own


NOT_FOUND = {
    "z-puls": "apps/z-puls.yaml: no such file: did you mean z-pulse?",
    "qqq": "apps/qqq.yaml: no such file; known: autovoicecollation, english-l",
    "x" * 300: f"apps/{'x' * 300}.yaml: no such file; known: autovoicecollation",
    "old": "apps/old.yml: app files end in .yaml; rename it",
    "../etc": "app = '../etc': invalid name: use lowercase letters, digits, - and _, starting",
    "TTS": "app = 'TTS': invalid name: use lowercase letters",
    "": "app = '': invalid name: use lowercase letters",
    "a\n": "app = 'a\\n': invalid name: use lowercase letters",
}


@pytest.mark.parametrize(("name", "said"), NOT_FOUND.items())
def test_unknown_apps(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("apps").mkdir()
    Path("apps/old.yml").touch()
    with pytest.raises(BadApp) as error:
        find(name)
    (line,) = error.value.lines
    assert line.startswith(said)


def assert_app_or_problems(text: bytes) -> None:
    """Loading returns an App, or raises BadApp with complete lines about this file."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "tts.yaml"
        path.write_bytes(text)
        try:
            assert load(path).text == text
        except BadApp as error:
            assert error.lines
            for line in error.lines:
                assert line.startswith(f"{path}:")
                assert "\n" not in line
                os.fsencode(line)


@given(st.binary(max_size=200))
@example(b"services: {a: {}}\nx-gpuhost: {scale: {a: " + b"9" * 5000 + b"}}")
@example(b'services: {a: {}}\n"x-gpuhost": {"\\n": "\\n"}')
@example(b'services: {"\\u202e": {}}\nx-gpuhost: {scale: {"\\u202e\\n": 1}}')
@example(b"services: {a: {}}\nx-gpuhost: !!python/object:os.system {}")
def test_any_bytes(text: bytes) -> None:
    assert_app_or_problems(text)


@given(st.text(alphabet="abx:-[]{}!&*<>|#'\"\\ \n\t%@`?,.0~", max_size=80))
def test_any_text_that_looks_like_yaml(text: str) -> None:
    assert_app_or_problems(text.encode())
    assert_app_or_problems(f"services: {{a: {{}}}}\nx-gpuhost: {text}".encode())


@given(
    st.integers(0, len(GOOD)),
    st.integers(0, 60),
    st.sampled_from([b"", b"\n", b"- ", b"{", b"*x", b"0", b"null", b": ", b"\xc3", b"'"]),
)
def test_a_valid_file_with_a_changed_part(at: int, length: int, replacement: bytes) -> None:
    assert_app_or_problems(GOOD[:at] + replacement + GOOD[at + length :])


KEYS = sorted(
    {
        key
        for model in (block_schema(), *block_schema()["$defs"].values())
        for key in model.get("properties", {})
    }
)
NAMES = st.sampled_from([*KEYS, "app", "worker", "A", "/a", "127.0.0.1:1", "data", "a b", ""])
LEAVES = (
    st.none() | st.booleans() | st.integers(-2, 10**20) | st.floats() | NAMES | st.text(max_size=5)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(sorted(block_schema()["properties"])), VALUES, max_size=5))
def test_any_block(block: dict[str, Any]) -> None:
    assert_app_or_problems(f"{SERVICES}\nx-gpuhost: {json.dumps(block)}".encode())
