"""$ in a block, where only secrets are filled in; and addresses, where users try variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.appfile.files import app_of, assert_refused

REFUSED: list[tuple[str, list[str]]] = [
    # Variables are not filled in, except secrets in `value`.
    (
        "without_gpu: {environment: {app: {A: '${B'}}}\nverify: {fatal: ['a$$${b', 'a$b', '$$b$']}",
        [
            "2: x-gpuhost.without_gpu.environment.app.A: variables are not supported here",
            "3: x-gpuhost.verify.fatal[0]: variables are not supported here: write the value, and",
            "3: x-gpuhost.verify.fatal[1]: variables are not supported here: write the value, and",
        ],
    ),
    ("directories: {'${DATA}': {}}", ["2: x-gpuhost.directories.${DATA}: variables are not sup"]),
    ("secrets: {A: {command: [pass, $HOME]}}", ["2: x-gpuhost.secrets.A.command[1]: variables a"]),
    (
        "secrets: {A: {}, B: {value: 'x$A'}, C: {value: '${A:-x}'}, D: {value: '${'}}",
        [
            "2: x-gpuhost.secrets.B.value: only secrets are filled in, as ${NAME}; write $$ for",
            "2: x-gpuhost.secrets.C.value: only secrets are filled in, as ${NAME}",
            "2: x-gpuhost.secrets.D.value: only secrets are filled in, as ${NAME}",
        ],
    ),
    # Addresses.
    (
        "verify: {steps: [{health: {url: 'http://127.0.0.1:${PORT:-3000}/h'}}]}",
        ["2: x-gpuhost.verify.steps[0].health.url: variables are not supported here"],
    ),
    (
        "verify: {steps: [{health: {url: 'http://127.0.0.1:99999/h'}}]}",
        ["2: x-gpuhost.verify.steps[0].health.url = 'http://127.0.0.1:99999/h': the port must b"],
    ),
    (
        "verify: {steps: [{request: {url: 'http://127.0.0.1:0'}}]}",
        ["2: x-gpuhost.verify.steps[0].request.url = 'http://127.0.0.1:0': the port must be"],
    ),
    (
        "verify: {steps: [{health: {url: 'http://a:3000x'}}]}",
        ["2: x-gpuhost.verify.steps[0].health.url = 'http://a:3000x': the port must be"],
    ),
    (
        "verify: {steps: [{health: {url: 'http://[::1/'}}]}",
        ["2: x-gpuhost.verify.steps[0].health.url = 'http://[::1/': the host must be a na"],
    ),
    (
        "verify: {steps: [{health: {url: 'http://[::g]/'}}]}",
        ["2: x-gpuhost.verify.steps[0].health.url = 'http://[::g]/': the host must be a na"],
    ),
    (
        "verify: {steps: [{health: {url: 'http:///h'}}, {health: {url: 'https://:3/'}}]}",
        [
            "2: x-gpuhost.verify.steps[0].health.url = 'http:///h': the host must be a na",
            "2: x-gpuhost.verify.steps[1].health.url = 'https://:3/': the host must be a na",
        ],
    ),
]


@pytest.mark.parametrize(("block", "said"), REFUSED, ids=[block[:60] for block, _ in REFUSED])
def test_refused(block: str, said: list[str], tmp_path: Path) -> None:
    assert_refused(tmp_path, block, said)


ALLOWED = [
    "verify: {steps: [{health: {url: 'http://[::1]:3000/h'}}, {health: {url: 'http://a_b-c'}}]}",
    "secrets: {A: {}, B: {value: '$$x${A}$${A}$'}}",
    "verify: {steps: [{command: {service: app, run: [sh, -c, 'test -n \"$$HOME\"; echo $1$']}}]}",
]


@pytest.mark.parametrize("block", ALLOWED)
def test_allowed(block: str, tmp_path: Path) -> None:
    assert app_of(tmp_path, block).name == "tts"


def test_two_dollars_are_one_as_in_a_compose_file(tmp_path: Path) -> None:
    written = ["a$$", "$1", "$${b", "$$B", "$${B:-c}", "$$$$", "$"]
    environment = ", ".join(f"A{n}: '{text}'" for n, text in enumerate(written))
    app = app_of(tmp_path, f"without_gpu: {{environment: {{app: {{{environment}}}}}}}")
    read = ["a$", "$1", "${b", "$B", "${B:-c}", "$$", "$"]
    assert app.block.without_gpu
    assert list(app.block.without_gpu.environment["app"].values()) == read
