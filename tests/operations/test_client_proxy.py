"""The program for a proxy on the host: root's config.json, and the record."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from gpuhost.remote import client_proxy

OURS = {"httpProxy": "http://10.0.0.1:3128", "httpsProxy": "", "noProxy": "localhost"}
NONE = dict.fromkeys(OURS, "")


@pytest.fixture(autouse=True)
def paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(client_proxy, "CONFIG", tmp_path / ".docker/config.json")
    monkeypatch.setattr(client_proxy, "RECORD", tmp_path / "gpuhost/proxy.json")


def _config() -> Any:
    return json.loads(client_proxy.CONFIG.read_text())


def _record() -> Any:
    return json.loads(client_proxy.RECORD.read_text())


def test_set_and_removed() -> None:
    client_proxy.main(OURS)
    assert _config() == {
        "proxies": {"default": {"httpProxy": "http://10.0.0.1:3128", "noProxy": "localhost"}}
    }
    assert list(_record()) == ["client"]
    assert client_proxy.CONFIG.stat().st_mode & 0o777 == 0o600
    client_proxy.main(NONE)
    assert _config() == {}
    assert not client_proxy.RECORD.exists()


def test_the_removal_from_the_engine_is_recorded_until_a_proxy_is_set_again() -> None:
    client_proxy.main(OURS)
    before = int(time.time())
    client_proxy.taken_from_engine()
    assert before <= _record()["taken_from_engine"] <= time.time()
    assert list(_record()) == ["client", "taken_from_engine"]
    client_proxy.main(NONE)
    assert list(_record()) == ["taken_from_engine"]
    client_proxy.main(OURS)
    assert list(_record()) == ["client"]


@pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
def test_an_invalid_record_is_replaced(text: str) -> None:
    client_proxy.RECORD.parent.mkdir()
    client_proxy.RECORD.write_text(text)
    client_proxy.taken_from_engine()
    assert list(_record()) == ["taken_from_engine"]


@pytest.mark.parametrize("text", ["[1]", '{"proxies": 1}', '{"proxies": {"default": "x"}}'])
def test_an_invalid_docker_configuration_is_not_changed(text: str) -> None:
    client_proxy.CONFIG.parent.mkdir()
    client_proxy.CONFIG.write_text(text)
    with pytest.raises(SystemExit, match="nothing was changed"):
        client_proxy.main(OURS)
    assert client_proxy.CONFIG.read_text() == text
