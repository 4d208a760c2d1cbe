"""The app's site on the host's nginx: tested, loaded, restored, removed."""

from __future__ import annotations

import pytest

from gpuhost.runner.site import nginx
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import NEW, OLD, App, app, programs
from tests.runner.nginx_fixtures import RELOAD, START, TEXT, Host, a_release, failure, host
from tests.runner.running import Cut

__all__ = ["app", "host", "programs"]


def test_a_site_is_tested_and_loaded(app: App, host: Host) -> None:
    release = a_release(app, host)
    nginx.switch(release)
    assert host.site.read_text() == release.paths.nginx.read_text()
    assert (host.site.stat().st_mode & 0o777) == 0o644
    calls = host.programs.calls
    assert calls.index("nginx -t") < calls.index(RELOAD)


def test_an_unchanged_site_is_neither_tested_nor_reloaded(app: App, host: Host) -> None:
    release = a_release(app, host)
    nginx.switch(release)
    before = len(host.programs.calls)
    nginx.switch(release)
    assert host.reloads() == [RELOAD]
    assert host.programs.calls[before:] == ["systemctl is-active --quiet nginx"]


def test_private_keys_are_not_copied_to_the_apps_directory(app: App, host: Host) -> None:
    nginx.switch(a_release(app, host, OLD, certificate="self-signed"))
    nginx.switch(a_release(app, host, certificate="self-signed"))
    kept = [path.name for path in app.paths.home.glob("*.json")]
    assert kept == ["nginx.json"]


def test_interrupted_before_the_reload_the_next_run_reloads(
    app: App, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    nginx.switch(a_release(app, host, OLD))
    release = a_release(app, host)
    with monkeypatch.context() as killed, pytest.raises(Cut):
        killed.setattr(nginx, "_reload", _killed)
        nginx.switch(release)
    assert NEW in host.site.read_text()
    nginx.switch(release)
    assert host.reloads() == [RELOAD] * 2


def _killed(release: Release) -> None:
    raise Cut


def test_a_stopped_nginx_is_started(app: App, host: Host) -> None:
    host.programs.answer("systemctl is-active *", status=3)
    nginx.switch(a_release(app, host))
    assert host.reloads() == [START]


def test_a_refused_site_is_replaced_with_the_previous_one(app: App, host: Host) -> None:
    nginx.switch(a_release(app, host, OLD))
    host.refuses("nonsense")
    failed = failure(a_release(app, host, text="nonsense\n" + TEXT))
    assert failed.said.startswith('nginx refuses the site: nginx: [emerg] unknown directive "non')
    assert OLD in host.site.read_text()
    assert host.reloads() == [RELOAD]


def test_a_refused_first_site_is_removed(app: App, host: Host) -> None:
    host.refuses("nonsense")
    failure(a_release(app, host, text="nonsense\n" + TEXT))
    assert not host.site.exists()
    assert host.reloads() == []


def test_after_a_failed_reload_the_previous_site_is_restored(app: App, host: Host) -> None:
    nginx.switch(a_release(app, host, OLD))
    host.programs.answer("systemctl reload nginx", err="Job for nginx.service failed.\n", status=1)
    host.programs.answer("journalctl *", "nginx: [emerg] bind() to 0.0.0.0:80 failed\n")
    failed = failure(a_release(app, host))
    assert failed.said == "nginx did not load the site"
    assert failed.output[0] == "Job for nginx.service failed."
    assert "bind() to 0.0.0.0:80 failed" in failed.output[-1]
    assert OLD in host.site.read_text()


def test_after_a_failed_reload_the_previous_release_reloads_nginx(app: App, host: Host) -> None:
    old = a_release(app, host, OLD)
    nginx.switch(old)
    host.programs.answer("systemctl reload nginx", status=1)
    failure(a_release(app, host))
    host.programs.answer("systemctl reload nginx")
    before = len(host.reloads())
    nginx.switch(old)
    assert host.reloads()[before:] == [RELOAD]


def test_the_site_of_the_previous_release_is_loaded_again(app: App, host: Host) -> None:
    old = a_release(app, host, OLD)
    nginx.switch(old)
    nginx.switch(a_release(app, host))
    nginx.switch(old)
    assert OLD in host.site.read_text()
    assert host.reloads() == [RELOAD] * 3


def test_a_site_is_removed_once(app: App, host: Host) -> None:
    release = a_release(app, host)
    nginx.switch(release)
    nginx.remove(release)
    nginx.remove(release)
    assert not host.site.exists()
    assert host.reloads() == [RELOAD] * 2


def test_a_release_without_a_site_removes_the_previous_one(app: App, host: Host) -> None:
    nginx.switch(a_release(app, host, OLD))
    nginx.switch(app.release(NEW))
    assert not host.site.exists()
    assert host.reloads() == [RELOAD] * 2


def test_without_a_site_nginx_is_not_touched(app: App, host: Host) -> None:
    release = app.release(NEW)
    nginx.switch(release)
    nginx.remove(release)
    assert host.programs.calls == []


def test_nginx_is_not_installed(app: App, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    (host.programs.directory / "nginx").unlink()
    monkeypatch.setattr("gpuhost.runner.lib.commands.PATH", str(host.programs.directory))
    assert failure(a_release(app, host)).said == "nginx is not installed on this host"


def test_an_invalid_configuration_of_nginx_before_the_release(app: App, host: Host) -> None:
    complaint = "nginx: [emerg] no such thing in /etc/nginx/sites-enabled/shop:3\n"
    host.programs.answer("nginx -T", err=complaint, status=1)
    failed = failure(a_release(app, host))
    assert "invalid already" in failed.said
    assert failed.output == (complaint.strip(),)
    assert not host.site.exists()


def test_an_invalid_site_of_the_app_is_replaced(app: App, host: Host) -> None:
    host.programs.answer("nginx -T", err=f"nginx: [emerg] no in {host.site}:1\n", status=1)
    nginx.switch(a_release(app, host))
    assert NEW in host.site.read_text()


def test_the_port_is_in_use_by_another_program(app: App, host: Host) -> None:
    line = 'LISTEN 0 511 *:80 *:* users:(("apache2",pid=7,fd=4))\n'
    host.programs.answer("ss * :80", line)
    failed = failure(a_release(app, host))
    assert failed.said == "port 80 is used by apache2: nginx cannot listen on it"
