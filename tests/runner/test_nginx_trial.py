"""The trial: nginx tests a site before anything is changed."""

from __future__ import annotations

import pytest

from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.site import nginx_trial
from tests.runner.host_fixtures import App, app, programs
from tests.runner.nginx_fixtures import TEXT, Host, a_release, host

__all__ = ["app", "host", "programs"]

TLS = TEXT.replace(
    "    # RELEASE",
    '    ssl_certificate "/etc/gpuhost/tls/app/fullchain.pem";\n'
    '    ssl_certificate_key "/etc/gpuhost/tls/app/privkey.pem";',
)


def test_the_site_is_tested_in_a_temporary_directory(app: App, host: Host) -> None:
    kept = host.directory / "seen"
    host.programs.answer("nginx -t -q -c *", then=f"cp -r $(dirname $4) {kept}")
    nginx_trial.try_on_host(a_release(app, host, text=TLS, certificate="files"))
    assert not host.site.exists()
    seen = (kept / "site.conf").read_text()
    place = next(line for line in seen.splitlines() if "ssl_certificate_key" in line).split()[1]
    directory = place.removesuffix("/privkey.pem;")
    assert f"    ssl_certificate {directory}/fullchain.pem;\n" in seen
    assert "/etc/gpuhost/tls" not in seen
    assert (kept / "fullchain.pem").read_text().startswith("-----BEGIN CERTIFICATE-----")
    assert f"include {directory}/site.conf;" in (kept / "nginx.conf").read_text()
    assert f"-c {directory}/nginx.conf" in host.programs.called("nginx -t")[0]
    assert not kept.with_name(directory.rpartition("/")[2]).exists()


def test_an_error_of_nginx_is_quoted(app: App, host: Host) -> None:
    host.programs.answer(
        "nginx -t -q -c *",
        then='echo "nginx: [emerg] unknown directive \\"x\\" in ${4%/*}/site.conf:3"; exit 1',
    )
    with pytest.raises(Failure) as raised:
        nginx_trial.try_on_host(a_release(app, host))
    assert raised.value.said == (
        'nginx would refuse the site: nginx: [emerg] unknown directive "x" in app/site.conf:3'
    )
    assert raised.value.fix == "correct x-gpuhost.nginx in the app file"


INSIDE = {"where": "container", "service": "proxy", "path": "site.conf"}
IMAGES = {"proxy": "sha256:1", "web": "sha256:2"}


def test_the_hosts_nginx_does_not_test_the_site_of_a_container(app: App, host: Host) -> None:
    nginx_trial.try_on_host(a_release(app, host, **INSIDE))
    assert host.programs.calls == []


def test_the_site_of_a_container_is_tested_with_its_image(app: App, host: Host) -> None:
    kept = host.directory / "seen"
    host.programs.answer("docker run *", then=f"cp -rp ${{12%%:*}} {kept}")
    release = a_release(app, host, text=TLS, certificate="files", **INSIDE)
    release.remember(images=IMAGES)
    nginx_trial.try_in_container(release)
    asked, removed = host.programs.calls
    hosts = "--add-host=proxy:127.0.0.1 --add-host=web:127.0.0.1"
    container = removed.removeprefix("docker rm -f ")
    assert container.startswith("gpuhost-nginx-")
    limits = "--network none --memory=512m --pids-limit=64"
    assert asked.startswith(f"docker run --rm --name {container} {limits} {hosts} -v ")
    assert asked.endswith("--entrypoint nginx sha256:1 -t -q -c /gpuhost-trial/nginx.conf")
    assert "ssl_certificate /gpuhost-trial/fullchain.pem;" in (kept / "site.conf").read_text()
    assert "include /gpuhost-trial/site.conf;" in (kept / "nginx.conf").read_text()
    assert kept.stat().st_mode & 0o777 == 0o755


def test_what_an_image_has_as_nginx_does_not_stay(
    app: App, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may not end: it may ignore SIGTERM."""
    monkeypatch.setattr(nginx_trial, "SECONDS", 0.1)
    host.programs.answer("docker run *", then="exec sleep 60")
    release = a_release(app, host, **INSIDE)
    release.remember(images=IMAGES)
    nginx_trial.try_in_container(release)
    (started,) = host.programs.called("docker run")
    (removed,) = host.programs.called("docker rm -f")
    assert f"--name {removed.removeprefix('docker rm -f ')} " in started


def test_nginx_writes_nothing_where_an_app_can(app: App, host: Host) -> None:
    """Root would follow a link of a fixed name in /tmp."""
    kept = host.directory / "seen"
    host.programs.answer("nginx -t -q -c *", then=f"cp -r $(dirname $4) {kept}")
    nginx_trial.try_on_host(a_release(app, host))
    (called,) = host.programs.called("nginx -t")
    directory = called.split()[-1].removesuffix("/nginx.conf")
    assert (kept / "nginx.conf").read_text().startswith(f"pid {directory}/pid;\n")


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ("nginx: [emerg] unknown directive in /gpuhost-trial/site.conf:3", True),
        ('nginx: [emerg] host not found in upstream "api" in /gpuhost-trial/site.conf:9', False),
        ('exec: "nginx": executable file not found in $PATH', False),
    ],
)
def test_only_errors_in_the_site_refuse_it(app: App, host: Host, said: str, refused: bool) -> None:
    """An upstream that only the app's network resolves, or a missing nginx, does not refuse it."""
    host.programs.answer("docker run *", f"{said}\n", status=1)
    release = a_release(app, host, **INSIDE)
    release.remember(images=IMAGES)
    if refused:
        with pytest.raises(Failure, match=r"nginx would refuse the site: .* in app/site\.conf:3"):
            nginx_trial.try_in_container(release)
    else:
        nginx_trial.try_in_container(release)


def test_without_a_site_in_a_container_nothing_runs(app: App, host: Host) -> None:
    gone = {**INSIDE, "service": "gone"}
    for release in (
        a_release(app, host),
        app.release("20260103-000000-cccccccc"),
        a_release(app, host, "20260104-000000-dddddddd", **gone),
    ):
        release.remember(images=IMAGES)
        nginx_trial.try_in_container(release)
    assert host.programs.calls == []
