"""The proxy of the running engine, for any `docker info` and any record of gpuhost."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.plans.proxy import declared_engine_proxy
from gpuhost.settings import Settings
from gpuhost.snapshot import Probe, Probes
from gpuhost.snapshot.proxy import PROXY_RECORD, EngineProxy, taken_from_engine

KEYS = ("HttpProxy", "HttpsProxy", "NoProxy", "taken_from_engine")
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner),
    max_leaves=5,
)


def _info(text: str, rc: int | None = 0) -> Probes:
    return Probes({"docker_info": Probe(rc, text)})


def _record(text: str) -> Probes:
    lines = "".join(f"{PROXY_RECORD}:{line}\n" for line in text.split("\n"))
    return Probes({"files": Probe(0, lines)})


@given(st.text() | anything.map(json.dumps) | st.just("[" * 5000))
def test_any_text_is_a_proxy_or_none(text: str) -> None:
    running = EngineProxy.running(_info(text))
    assert running is None or running.http.rpartition("@")[0].rpartition("://")[2] in ("", "***")
    assert isinstance(taken_from_engine(_record(text)), int | None)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "no", '{"ServerVersion": "29.1.0"}'])
def test_output_without_a_proxy(text: str) -> None:
    assert EngineProxy.running(_info(text)) is None


def test_an_engine_that_does_not_answer() -> None:
    good = '{"HttpProxy": "http://p:1"}'
    assert EngineProxy.running(_info(good)) == EngineProxy("http://p:1", "", "")
    for rc in (None, 1, 124):
        assert EngineProxy.running(_info(good, rc)) is None
    assert EngineProxy.running(Probes({})) is None


@pytest.mark.parametrize(
    ("declared", "shown_by_docker"),
    [
        ("http://10.0.0.1:3128", "http://10.0.0.1:3128"),
        ("http://gpu:s3cret@10.0.0.1:3128", "http://xxxxx:xxxxx@10.0.0.1:3128"),
        ("http://gpu@p", "http://xxxxx:xxxxx@p"),
        ("http://gpu:a@b@p:1", "http://xxxxx:xxxxx@p:1"),
        ("http://gpu:%zz@p:1", "http://gpu:%zz@p:1"),
        ("http://gpu:a//b@p:1", "http://gpu:a//b@p:1"),
        ("http://[2001:db8::1]:3128", "http://[2001:db8::1]:3128"),
    ],
)
def test_a_declared_proxy_matches_what_docker_prints(declared: str, shown_by_docker: str) -> None:
    info = {"HttpProxy": shown_by_docker, "HttpsProxy": "", "NoProxy": "localhost,.lab"}
    running = EngineProxy.running(_info(json.dumps(info)))
    no_proxy = ("localhost", ".lab")
    same, other = (
        Settings(proxy_http=url, proxy_no=no_proxy) for url in (declared, f"{declared}0")
    )
    assert running == declared_engine_proxy(same)
    assert running != declared_engine_proxy(other)


@pytest.mark.parametrize(
    "url", ["gpu:s3cret@p:1", "gpu:s3cret//x@p:1", "http://a:s3cret@b@p:1", "//gpu:s3cret@p:1"]
)
def test_no_login_is_kept(url: str) -> None:
    info = json.dumps({"HttpProxy": url, "HttpsProxy": url})
    assert "s3cret" not in repr(EngineProxy.running(_info(info)))


def test_an_unreadable_record_gives_nothing() -> None:
    err = f"grep: {PROXY_RECORD}: Permission denied"
    assert taken_from_engine(Probes({"files": Probe(2, "", err)})) is None
