"""The host's nginx judges a site before anything is changed for it."""

from __future__ import annotations

import pytest

from gpuhost.runner import nginx_trial
from gpuhost.runner.failure import Failure
from tests.runner.at_hand import App, app, programs
from tests.runner.nginx_at_hand import TEXT, Host, a_release, host

__all__ = ["app", "host", "programs"]

TLS = TEXT.replace(
    "    # RELEASE",
    '    ssl_certificate "/etc/gpuhost/tls/app/fullchain.pem";\n'
    '    ssl_certificate_key "/etc/gpuhost/tls/app/privkey.pem";',
)


def test_it_is_judged_elsewhere_and_nothing_is_left(app: App, host: Host) -> None:
    kept = host.directory / "seen"
    host.programs.answer("nginx -t -q -c *", then=f"cp -r $(dirname $4) {kept}")
    nginx_trial.judge(a_release(app, host, text=TLS, certificate="files"))
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


def test_what_it_refuses_is_said_in_its_words(app: App, host: Host) -> None:
    host.programs.answer(
        "nginx -t -q -c *",
        then='echo "nginx: [emerg] unknown directive \\"x\\" in ${4%/*}/site.conf:3"; exit 1',
    )
    with pytest.raises(Failure) as raised:
        nginx_trial.judge(a_release(app, host))
    assert raised.value.said == (
        'nginx would refuse the site: nginx: [emerg] unknown directive "x" in app/site.conf:3'
    )
    assert raised.value.fix == "x-gpuhost.nginx of the app file"


def test_a_containers_nginx_is_not_asked(app: App, host: Host) -> None:
    nginx_trial.judge(a_release(app, host, where="container", service="proxy", path="site.conf"))
    assert host.programs.calls == []
