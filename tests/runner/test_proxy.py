"""The proxy of root's Docker client, as other programs use it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpuhost.runner.lib import proxy
from gpuhost.runner.lib.log import Log


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{"proxies": {"default": {"httpProxy": "http://u:pa55word@p:1", "httpsProxy": '
            '"http://p:2", "noProxy": "a,b"}}, "auths": {}}',
            {
                "http_proxy": "http://u:pa55word@p:1",
                "https_proxy": "http://p:2",
                "HTTPS_PROXY": "http://p:2",
                "no_proxy": "a,b",
                "NO_PROXY": "a,b",
            },
        ),
        ('{"proxies": {"default": {"httpProxy": "http://[", "httpsProxy": ""}}}',
         {"http_proxy": "http://["}),
        ('{"proxies": {"default": 1}}', {}),
        ('{"proxies": []}', {}),
        ("[]", {}),
        ("{", {}),
        (None, {}),
    ],
)  # fmt: skip
def test_the_proxy_of_roots_docker_client_is_in_the_environment_of_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, expected: dict[str, str]
) -> None:
    monkeypatch.setattr(proxy, "CLIENT", tmp_path / "config.json")
    if text is not None:
        proxy.CLIENT.write_text(text)
    assert proxy.environment() == expected


@pytest.mark.parametrize(
    ("proxies", "said"),
    [
        # Output of a build that prints its environment.
        ({"default": {"httpProxy": "http://u:pa55word@p:1"}}, "http_proxy=http://u:pa55word@p:1"),
        ({"default": {"httpsProxy": "http://u:pa55%77ord@p:1"}}, "the password is pa55word"),
        # Go and curl need no scheme, and accept more than a URL may have.
        ({"default": {"httpProxy": "u:pa55word@p:1"}}, "http_proxy=u:pa55word@p:1"),
        ({"default": {"httpProxy": "http://u:#/pa55word@p:1"}}, "the password is #/pa55word"),
        ({"default": {"httpProxy": "http://pa55word@p:1"}}, "the token is pa55word"),
        ({"default": {"httpProxy": "http://pa55word:@p:1/"}}, "the token is pa55word"),
        ({"tcp://one:2376": {"httpProxy": "http://u:pa55word@p:1"}}, "Proxy-Auth: u:pa55word"),
    ],
)
def test_the_password_of_the_proxy_is_not_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxies: dict[str, object], said: str
) -> None:
    monkeypatch.setattr(proxy, "CLIENT", tmp_path / "config.json")
    proxy.CLIENT.write_text(json.dumps({"proxies": proxies}))
    log = Log(tmp_path / "log")
    log.write(said)
    log.mask(["a secret that holds pa55word"])
    log.write("a secret that holds pa55word")
    plain, secret = (tmp_path / "log").read_text().splitlines()
    assert "pa55word" not in plain
    assert secret.endswith(" ***")


def test_without_a_proxy_the_log_is_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy, "CLIENT", tmp_path / "config.json")
    Log(tmp_path / "log").write("http://u:pa55word@p:1")
    assert "pa55word" in (tmp_path / "log").read_text()
