"""No message shows a value that may be a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.appfile.files import problems

HIDDEN = [
    "secrets: {A: PLANTED}",
    "secrets: {A: {env: PLANTED, generate: hex}}",
    "secrets: {A: {value: PLANTED, refuse: PLANTED}}",
    "secrets: {A: {min_length: PLANTED}}",
    "secrets: PLANTED",
    "secrets: {A: {refuse: [PLANTED], vlaue: PLANTED}}",
    "source: {git: 'https://x/y', token: PLANTED}",
    "source: {git: 'https://x/y', token: 'PLANTED!'}",
    "source: {git: 'https://me:PLANTED@x/y'}",
    "source: {git: 'https://PLANTED@x/y'}",
    "source: {git: 'ftp://me:PLANTED@x/y'}",
    "source: {git: 'git@x:y', deploy_key: '-----PLANTED'}",
    "registries: {r: {user: me, password: PLANTED}}",
    "nginx: {upstream: '127.0.0.1:1', tls: {kind: files, certificate: A, key: '--PLANTED'}}",
    "verify: {steps: [{request: {url: 'http://x', headers: {Authorization: [PLANTED]}}}]}",
    'verify: {steps: [{request: {url: "http://x", headers: {A: "PLANTED\\n"}}}]}',
    "verify: {steps: [{request: {url: 'ftp://me:PLANTED@x'}}]}",
    "with_gpu: {environment: {app: {A: [PLANTED]}}}",
    "build: {args: {A: [PLANTED]}}",
    "secrets: {A: {value: PLANTED, value: PLANTED}}",
    "secrets: {A: {value: *PLANTED}}",
    "secrets: {A: {value: !PLANTED!x y}}",
    "secrets: {A: {value: &PLANTED*x}}",
    'secrets: {A: {value: "PLANTED',
    'secrets: {A: {value: "PLANTED \\q"}}',
    "secrets: {A: {value: PLANTED: PLANTED}}",
    "secrets: {A: {value: PLANTED\x01}}",
]


@pytest.mark.parametrize("block", HIDDEN)
def test_no_secret_is_shown(block: str, tmp_path: Path) -> None:
    said = "\n".join(problems(tmp_path, block.replace("PLANTED", "hunter2")))
    assert said
    assert "hunter2" not in said
