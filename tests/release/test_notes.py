"""What a plan says of the differences from Compose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpuhost.appfile.loading import load
from gpuhost.release.notes import notes
from gpuhost.release.secrets import GivenSecrets, SecretValue
from gpuhost.release.variant import ChosenVariant

SERVICES: dict[str, dict[str, Any]] = {
    "web": {
        "image": "w",
        "ports": ["80:80", "127.0.0.1:81:81", "90:90", "8000-8010:8000"],
        "volumes": ["./conf:/conf", "./w.conf:/w:rw", "./r.conf:/r:ro", "./data:/data"],
        "env_file": ["gone.env", {"path": "maybe.env", "required": False}, "secret.env"],
    },
    "llm": {"image": "l", "gpus": "all", "network_mode": "host", "volumes": ["./new:/n"]},
    "off": {"image": "o", "ports": ["99:99"], "volumes": ["./conf:/c"]},
}
BLOCK = {
    "source": {"directory": "project"},
    "public": ["web:90"],
    "directories": {"data": {}},
    "secrets": {"A": {"path": "secret.env"}},
    "without_gpu": {"leave_out": ["off"]},
}


VALUE = "hunter-22"


def _notes(
    directory: Path,
    variant: ChosenVariant,
    services: dict[str, Any],
    build_args: dict[str, str] | None = None,
) -> list[str]:
    for name in ("conf/a", "w.conf", "r.conf", "data/a"):
        (directory / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / "project" / name).touch()
    path = directory / "tts.yaml"
    path.write_text(json.dumps({"x-gpuhost": BLOCK, "services": services}))
    secrets = GivenSecrets({"A": SecretValue(VALUE)})
    return list(notes(load(path), variant, build_args or {}, secrets))


def test_every_difference_is_one_line(tmp_path: Path) -> None:
    variant = ChosenVariant(with_gpu=False, why="", leave_out=("off",), without_card=True)
    assert _notes(tmp_path, variant, SERVICES) == [
        "left out on this host: off",
        "without the cards that the files reserve: llm",
        "in the host's network, where their ports are not bound to loopback: llm",
        "published on 127.0.0.1 only, unless x-gpuhost.public lists them: web:80",
        "files of the project, mounted read-only (`:rw` in the file: writable, for this release; "
        "x-gpuhost.directories: data): ./conf",
        "data, kept in /opt/gpuhost/tts/shared: ./data, ./new",
        "services.web.env_file: the source has no gone.env: the host needs "
        "/opt/gpuhost/tts/shared/gone.env, or the app a secret with path: gone.env",
    ]


def test_nothing_differs(tmp_path: Path) -> None:
    services = {
        "web": {"image": "w", "ports": ["90:90"]},
        "off": {"image": "o"},
    }
    assert _notes(tmp_path, ChosenVariant(with_gpu=True, why=""), services) == []


@pytest.mark.parametrize(
    ("args", "in_file", "named"),
    [
        ({"VERSION": "1", "PASSWORD_MIN_LENGTH": "8"}, {"MODE": "${MODE}"}, ""),
        ({"NPM_TOKEN": "x"}, {}, "build.args.NPM_TOKEN"),
        ({"URL": f"https://me:{VALUE}@host"}, {}, "build.args.URL"),
        ({"A": "x"}, {}, "build.args.A"),
        ({}, {"URL": "x${A:-}", "OK": "1"}, "services.web.build.args.URL"),
        ({}, {"API_KEY": None}, "services.web.build.args.API_KEY"),
        ({}, ["URL=$A", "API_KEY"], "services.web.build.args.URL, services.web.build.args.API_KEY"),
    ],
)
def test_a_secret_as_a_build_argument(
    tmp_path: Path, args: dict[str, str], in_file: Any, named: str
) -> None:
    web = {"build": {"context": ".", "args": in_file}, "ports": ["90:90"]}
    services = {"web": web, "off": {"image": "o"}}
    said = _notes(tmp_path, ChosenVariant(with_gpu=True, why=""), services, args)
    assert [line.split(": ")[1] for line in said] == ([named] if named else [])
    assert VALUE not in "".join(said)
