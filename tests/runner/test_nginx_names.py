"""Server names of the app's site that another site on the host's nginx uses."""

from __future__ import annotations

import pytest

from gpuhost.runner.site import nginx
from gpuhost.runner.site.nginx_sites import Claim, claims, clash
from tests.runner.host_fixtures import App, app, programs
from tests.runner.nginx_fixtures import NAME, TEXT, Host, a_release, failure, host

__all__ = ["app", "host", "programs"]

ANY_SITE = "server { listen 80; server_name ~^; }"
STOCK = "server { listen 80 default_server; listen [::]:80 default_server; server_name _; }"


def test_a_name_of_another_site_is_refused(app: App, host: Host) -> None:
    host.has_other_sites(f"server {{ listen 443 ssl; server_name www.x {NAME}; }}")
    failed = failure(a_release(app, host))
    assert failed.said.startswith(f"{NAME} on port 443 is taken by another site")
    assert "/etc/nginx/sites-enabled/shop" in failed.said
    assert not host.site.exists()


def test_the_apps_own_file_is_not_another_site(app: App, host: Host) -> None:
    host.has_other_sites(TEXT, str(host.site))
    nginx.switch(a_release(app, host))
    assert host.site.exists()
    # Without a clash, the welcome page is not verified.
    assert host.programs.called("dpkg") == []


def test_another_site_is_found_behind_the_welcome_page(app: App, host: Host) -> None:
    default = "/etc/nginx/sites-enabled/default"
    both = f"{STOCK}\n# configuration file /etc/nginx/sites-enabled/shop:\n{ANY_SITE}"
    host.has_other_sites(both, default)
    failed = failure(a_release(app, host, text=ANY_SITE, server_names=("_",)))
    assert "/etc/nginx/sites-enabled/shop" in failed.said


def test_the_distributions_welcome_page_does_not_clash(app: App, host: Host) -> None:
    host.has_other_sites(STOCK, "/etc/nginx/sites-enabled/default")
    nginx.switch(a_release(app, host, text=ANY_SITE, server_names=("_",)))
    assert host.site.exists()


def test_a_changed_welcome_page_clashes(app: App, host: Host) -> None:
    host.has_other_sites(STOCK, "/etc/nginx/sites-enabled/default")
    changed = f"??5?????? c {nginx.STOCK.resolve()}\n"
    host.programs.answer("dpkg --verify *", changed)
    failed = failure(a_release(app, host, text=ANY_SITE, server_names=("_",)))
    assert failed.said.startswith("every name on port 80 is taken")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("server { listen 80; server_name a b; }", {("80", "a"), ("80", "b")}),
        ("server { server_name a; }", {("80", "a")}),
        ("server { listen 8080; }", {("8080", "_")}),
        ('server { listen 80; server_name ""; }', {("80", "_")}),
        ("server { listen 80; server_name ~^; }", {("80", "_")}),
        ("server { listen [::]:443 ssl; server_name A.x; }", {("443", "a.x")}),
        ("server { listen 10.0.0.1:81; server_name a; }", {("81", "a")}),
        ("server { listen 10.0.0.1; server_name a; }", {("80", "a")}),
        ("server { listen unix:/run/x; server_name a; }", set()),
        ("server { listen 80 default_server; server_name a; }", {("80", "a"), ("80", "_")}),
        ("http { server { server_name a; location / { return 200 'x;}'; } } }", {("80", "a")}),
        ("# server { server_name c; }\nserver { server_name 'a'; # b;\n}", {("80", "a")}),
        ("upstream server { server 127.0.0.1; } map a b { c d; }", set()),
        ("server { server_name a;", set()),
        ("} ; } {", set()),
        ("server { listen; server_name; }", {("80", "_")}),
    ],
)
def test_claims(text: str, expected: set[tuple[str, str]]) -> None:
    assert {(claim.port, claim.name) for claim in claims(text)} == expected


def test_claims_of_several_files() -> None:
    text = "# configuration file /a:\nserver { server_name a; }\n# configuration file /b:\n" + (
        "server { server_name b; }"
    )
    assert claims(text) == (Claim("80", "a", "/a"), Claim("80", "b", "/b"))
    assert clash((Claim("80", "b", "/c"),), claims(text), ()) == Claim("80", "b", "/b")
    assert clash((Claim("80", "b", "/c"),), claims(text), ("/b",)) is None
