"""The app's site on an nginx in one of its containers."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.site import certificates, nginx
from tests.runner.host_fixtures import NEW, OLD, App, app, programs
from tests.runner.nginx_fixtures import Host, a_release, failure, host

__all__ = ["app", "host", "programs"]

INSIDE = {"where": "container", "service": "proxy", "path": "nginx/site.conf"}
TEST = "docker compose exec -T proxy nginx -t"
RELOAD = "docker compose exec -T proxy nginx -s reload"


def test_the_site_exists_before_the_container_starts(app: App, host: Host) -> None:
    release = a_release(
        app, host, **{**INSIDE, "certificate": "self-signed", "certificate_dir": "nginx/tls"}
    )
    nginx.place(release)
    shared = app.paths.shared
    assert (shared / "nginx/site.conf").read_text() == release.paths.nginx.read_text()
    assert (shared / "nginx/tls/privkey.pem").stat().st_mode & 0o777 == 0o600
    assert not host.programs.called("exec")


def test_nginx_in_a_running_container_reloads(app: App, host: Host) -> None:
    host.programs.answer("docker compose * ps -q proxy", "abc\n")
    file = app.data("nginx/site.conf", "old")
    same = file.stat().st_ino
    nginx.switch(a_release(app, host, **INSIDE))
    assert NEW in file.read_text()
    assert file.stat().st_ino == same
    assert [call for call in host.programs.calls if " exec " in call] == [TEST, RELOAD]
    assert host.reloads() == []


def test_nginx_in_a_container_refuses_the_site(app: App, host: Host) -> None:
    host.programs.answer("docker compose * ps -q proxy", "abc\n")
    host.programs.answer("docker compose * nginx -t", "nginx: [emerg] no\n", status=1)
    failed = failure(a_release(app, host, **INSIDE))
    assert failed.said == "nginx in its container refuses the site"
    assert failed.output == ("nginx: [emerg] no",)
    assert not host.programs.called("reload")


def test_a_site_that_moves_to_a_container_is_removed_from_the_host(app: App, host: Host) -> None:
    nginx.switch(a_release(app, host, OLD))
    nginx.switch(a_release(app, host, **INSIDE))
    assert not host.site.exists()


def link(path: Path) -> None:
    path.symlink_to("../../of-the-host")


def link_to_nothing(path: Path) -> None:
    path.symlink_to("../../new-file-of-the-host")


@pytest.mark.parametrize("put", [link, link_to_nothing, os.mkfifo, Path.mkdir])
@pytest.mark.parametrize("name", ["site.conf", "tls/fullchain.pem", "tls/privkey.pem", "tls"])
def test_what_the_container_puts_in_place_of_a_file_is_neither_followed_nor_waited_for(
    app: App, host: Host, tmp_path: Path, name: str, put: Callable[[Path], None]
) -> None:
    for one in ("of-the-host", "app/of-the-host"):
        (tmp_path / one).write_text("of the host")
    tls = {"certificate": "self-signed", "certificate_dir": "nginx/tls"}
    release = a_release(app, host, **INSIDE, **tls)
    place = app.data("nginx/other").parent / name
    place.parent.mkdir(exist_ok=True)
    # Only links of a container are refused in a directory: this one it can write to.
    (app.paths.shared / "nginx").chmod(0o777)
    put(place)
    if (put, name) == (Path.mkdir, "tls"):
        nginx.place(release)
        return
    with pytest.raises(Failure) as raised:
        nginx.place(release)
    assert (name in raised.value.said, bool(raised.value.fix)) == (True, True)
    assert (tmp_path / "app/of-the-host").read_text() == "of the host"
    assert not (tmp_path / "app/new-file-of-the-host").exists()


@pytest.mark.parametrize("put", [link, link_to_nothing, os.mkfifo])
def test_a_chain_that_the_container_replaced_is_not_read(
    app: App, host: Host, put: Callable[[Path], None]
) -> None:
    tls = {"certificate": "self-signed", "certificate_dir": "nginx/tls"}
    release = a_release(app, host, **INSIDE, **tls)
    put(app.data("nginx/tls/privkey.pem").with_name("fullchain.pem"))
    with pytest.raises(Failure, match=r"fullchain\.pem"):
        certificates.trusted(release)
