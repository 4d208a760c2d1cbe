"""The proxy of root's Docker client, for other programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuhost.runner import proxy
from gpuhost.runner.log import Log


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
def test_the_proxy_of_roots_docker_client_is_gits_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, expected: dict[str, str]
) -> None:
    monkeypatch.setattr(proxy, "CLIENT", tmp_path / "config.json")
    if text is not None:
        proxy.CLIENT.write_text(text)
    log = Log(tmp_path / "log")
    assert proxy.environment(log) == expected
    said = log.masked("fatal: unable to access via http://u:pa55word@p:1")
    assert ("pa55word" in said) == (not any("pa55word" in value for value in expected.values()))
