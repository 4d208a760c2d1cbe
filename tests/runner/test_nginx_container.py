"""The app's site on an nginx in one of its containers."""

from __future__ import annotations

from gpuhost.runner.site import nginx
from tests.runner.host_fixtures import NEW, OLD, App, app, programs
from tests.runner.nginx_fixtures import ACME, NAME, Host, a_release, failure, host
from tests.runner.site import certificate

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


def test_acme_inside_a_container(app: App, host: Host) -> None:
    host.programs.answer("docker compose * ps -q proxy", "abc\n")
    file = app.paths.shared / "nginx/site.conf"
    chain, key = certificate(host.directory / "fetched", NAME)
    live = host.live / "gpuhost-app"
    host.programs.answer("certbot *", then=f"mkdir -p {live} && cp {chain} {key} {live}/")
    release = a_release(app, host, **{**INSIDE, **ACME, "certificate_dir": "nginx/tls"})
    nginx.place(release)
    assert "443" not in file.read_text()
    nginx.switch(release)
    (asked,) = host.programs.called("certbot certonly")
    assert f"-w {app.paths.shared}/nginx/acme " in asked
    assert "docker exec" in asked
    assert "443" in file.read_text()
    copied = app.paths.shared / "nginx/tls/fullchain.pem"
    assert copied.read_text() == chain.read_text()
    assert not copied.is_symlink()
    nginx.place(release)
    assert "443" in file.read_text()
