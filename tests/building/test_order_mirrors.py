"""Which mirrors apt-cacher-ng is given, by what they answer just before it starts."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from gpuhost.plans import order_mirrors
from tests.runner.site import free_port, raw_server, serve

NAMES = ("backends_debian", "backends_ubuntu", "backends_gpuhost_security")


@pytest.fixture
def lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(order_mirrors, "LISTS", tmp_path)
    monkeypatch.setattr(order_mirrors, "MIRRORS", tmp_path / "mirrors")
    monkeypatch.setattr(order_mirrors, "ANSWER_S", 1)
    monkeypatch.setattr(order_mirrors, "ADDRESS_S", 0)
    return tmp_path


def written(lists: Path) -> list[list[str]]:
    return [(lists / name).read_text().split() for name in NAMES]


@pytest.mark.slow
def test_those_that_answer_in_their_order(lists: Path) -> None:
    over = threading.Event()
    with serve() as first, serve() as second, raw_server(lambda _: over.wait() and None) as silent:
        for site in (first, second):
            site.says("/debian/", "a list")
        second.says("/ubuntu/", "forbidden", 403)
        first.says("/ubuntu/", "broken", 500)
        bases = [
            f"http://127.0.0.1:{silent}",
            first.url("").rstrip("/"),
            f"http://127.0.0.1:{free_port()}",
            "nonsense",
            second.url("").rstrip("/"),
        ]
        try:
            order_mirrors.write_lists(bases)
        finally:
            over.set()
        debian = [first.url("/debian/"), second.url("/debian/")]
        assert written(lists) == [debian, [second.url("/ubuntu/")], []]


def test_one_that_shows_no_list_at_its_top(lists: Path) -> None:
    with serve() as site:
        site.says("/debian/dists/", "a list")
        order_mirrors.write_lists([site.url("").rstrip("/")])
        assert written(lists) == [[site.url("/debian/")], [], []]


def test_none(lists: Path) -> None:
    (lists / "mirrors").write_text("")
    order_mirrors.main("127.0.0.1")
    assert written(lists) == [[], [], []]


def test_proxies_of_the_environment_are_passed_by(
    lists: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("no_proxy", "")
    with serve() as site:
        site.says("/debian/", "a list")
        order_mirrors.write_lists([site.url("").rstrip("/")])
        assert written(lists)[0] == [site.url("/debian/")]


def test_an_address_that_is_not_there(lists: Path) -> None:
    (lists / "mirrors").write_text("")
    with pytest.raises(SystemExit, match=r"192\.0\.2\.1 is no address of this host"):
        order_mirrors.main("192.0.2.1")
