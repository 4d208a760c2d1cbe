"""The app's site on nginx: judged, taken up, taken back; certificates; names that are taken."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gpuhost.runner import certificates, nginx
from gpuhost.runner.failure import Failure
from gpuhost.runner.nginx_sites import Claim, claims, clash
from gpuhost.runner.plan import Nginx
from gpuhost.runner.release import Release
from tests.runner.at_hand import NEW, OLD, App, Programs, app, programs
from tests.runner.site import certificate

__all__ = ["app", "programs"]

NAME = "app.example.invalid"
TEXT = """\
server {
    listen 80;
    server_name NAME;
    location ^~ /.well-known/acme-challenge/ {
        root "/var/lib/gpuhost/acme";
    }
    location / { return 301 https://$host$request_uri; }
}
server {
    listen 443 ssl http2;
    server_name NAME;
    # RELEASE
}
""".replace("NAME", NAME)
RELOAD, START = "systemctl reload nginx", "systemctl start nginx"


@dataclass
class Host:
    directory: Path
    programs: Programs

    @property
    def site(self) -> Path:
        return self.directory / "conf.d" / "gpuhost-app.conf"

    @property
    def tls(self) -> Path:
        return self.directory / "tls" / "app"

    @property
    def live(self) -> Path:
        return self.directory / "live"

    def taken_up(self) -> list[str]:
        calls = self.programs.calls
        return [call for call in calls if call.startswith("systemctl ") and "is-active" not in call]

    def refuses(self, word: str) -> None:
        """nginx does not like a site with this word in it."""
        complaint = f'nginx: [emerg] unknown directive "{word}" in {self.site}:1'
        self.programs.answer(
            "nginx -t",
            then=f"grep -q {word} {self.site} && {{ echo '{complaint}'; exit 1; }}",
        )

    def has_other_sites(self, text: str, file: str = "/etc/nginx/sites-enabled/shop") -> None:
        self.programs.answer("nginx -T", f"# configuration file {file}:\n{text}\n")


@pytest.fixture
def host(tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(certificates, "LIVE", tmp_path / "live")
    monkeypatch.setattr(certificates, "CHALLENGES", tmp_path / "acme")
    for program in ("nginx", "systemctl", "ss", "dpkg", "certbot", "journalctl"):
        programs.answer(f"{program} nothing")
    return Host(tmp_path, programs)


def a_release(
    app: App, host: Host, release_id: str = NEW, *, text: str = TEXT, given: Any = None, **site: Any
) -> Release:
    plan = Nginx(**{"where": "host", "path": str(host.site), "names": (NAME,), **site})
    if plan.certificate:
        plan = Nginx(
            **{**vars(plan), "certificate_dir": site.get("certificate_dir", str(host.tls))}
        )
    release = app.release(release_id, nginx=plan, given=given)
    release.paths.nginx.write_text(text.replace("RELEASE", release_id))
    return release


def failure(release: Release) -> Failure:
    with pytest.raises(Failure) as raised:
        nginx.switch(release)
    return raised.value


def test_a_site_is_judged_and_taken_up(app: App, host: Host) -> None:
    release = a_release(app, host)
    nginx.switch(release)
    assert host.site.read_text() == release.paths.nginx.read_text()
    assert (host.site.stat().st_mode & 0o777) == 0o644
    calls = host.programs.calls
    assert calls.index("nginx -t") < calls.index(RELOAD)


def test_the_same_again_reloads_nothing(app: App, host: Host) -> None:
    release = a_release(app, host)
    nginx.switch(release)
    nginx.switch(release)
    assert host.taken_up() == [RELOAD]


class Cut(BaseException):
    """The runner is killed."""


def test_cut_off_before_it_was_taken_up_it_is_taken_up_the_next_time(
    app: App, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    nginx.switch(a_release(app, host, OLD))
    release = a_release(app, host)
    with monkeypatch.context() as killed, pytest.raises(Cut):
        killed.setattr(nginx, "_reload", _killed)
        nginx.switch(release)
    assert NEW in host.site.read_text()
    nginx.switch(release)
    assert host.taken_up() == [RELOAD] * 2
    nginx.restore(release)
    assert OLD in host.site.read_text()


def _killed(release: Release) -> None:
    raise Cut


def test_nginx_that_does_not_run_is_started(app: App, host: Host) -> None:
    host.programs.answer("systemctl is-active *", status=3)
    nginx.switch(a_release(app, host))
    assert host.taken_up() == [START]


def test_a_refused_site_never_stays(app: App, host: Host) -> None:
    nginx.switch(a_release(app, host, OLD))
    host.refuses("nonsense")
    failed = failure(a_release(app, host, text="nonsense\n" + TEXT))
    assert failed.said.startswith('nginx refuses the site: nginx: [emerg] unknown directive "non')
    assert OLD in host.site.read_text()
    assert host.taken_up() == [RELOAD]


def test_a_refused_first_site_leaves_none(app: App, host: Host) -> None:
    host.refuses("nonsense")
    failure(a_release(app, host, text="nonsense\n" + TEXT))
    assert not host.site.exists()
    assert host.taken_up() == []


def test_a_site_that_is_not_taken_up_is_put_back(app: App, host: Host) -> None:
    nginx.switch(a_release(app, host, OLD))
    host.programs.answer("systemctl reload nginx", err="Job for nginx.service failed.\n", status=1)
    host.programs.answer("journalctl *", "nginx: [emerg] bind() to 0.0.0.0:80 failed\n")
    failed = failure(a_release(app, host))
    assert failed.said == "nginx did not take up the site"
    assert failed.output[0] == "Job for nginx.service failed."
    assert "bind() to 0.0.0.0:80 failed" in failed.output[-1]
    assert OLD in host.site.read_text()


def test_after_a_failed_reload_the_old_site_is_taken_up_anew(app: App, host: Host) -> None:
    old = a_release(app, host, OLD)
    nginx.switch(old)
    host.programs.answer("systemctl reload nginx", status=1)
    failure(a_release(app, host))
    host.programs.answer("systemctl reload nginx")
    before = len(host.taken_up())
    nginx.switch(old)
    assert host.taken_up()[before:] == [RELOAD]


def test_what_was_there_before_comes_back(app: App, host: Host) -> None:
    nginx.switch(a_release(app, host, OLD))
    new = a_release(app, host)
    nginx.switch(new)
    nginx.switch(new)
    nginx.restore(new)
    assert OLD in host.site.read_text()
    assert host.taken_up() == [RELOAD] * 3


def test_before_the_first_there_was_none(app: App, host: Host) -> None:
    release = a_release(app, host)
    nginx.restore(release)
    assert host.taken_up() == []
    nginx.switch(release)
    nginx.restore(release)
    assert not host.site.exists()
    assert host.taken_up() == [RELOAD] * 2


def test_removed(app: App, host: Host) -> None:
    release = a_release(app, host)
    nginx.switch(release)
    nginx.remove(release)
    nginx.remove(release)
    assert not host.site.exists()
    assert host.taken_up() == [RELOAD] * 2


def test_a_release_without_a_site_takes_the_old_one_away(app: App, host: Host) -> None:
    nginx.switch(a_release(app, host, OLD))
    nginx.switch(app.release(NEW))
    assert not host.site.exists()
    assert host.taken_up() == [RELOAD] * 2


def test_an_app_that_never_had_a_site_leaves_nginx_alone(app: App, host: Host) -> None:
    release = app.release(NEW)
    nginx.switch(release)
    nginx.remove(release)
    assert host.programs.calls == []


def test_no_nginx(app: App, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    (host.programs.directory / "nginx").unlink()
    monkeypatch.setattr("gpuhost.runner.commands.PATH", str(host.programs.directory))
    assert failure(a_release(app, host)).said == "nginx is not installed on this host"


def test_nginx_is_broken_already(app: App, host: Host) -> None:
    complaint = "nginx: [emerg] no such thing in /etc/nginx/sites-enabled/shop:3\n"
    host.programs.answer("nginx -T", err=complaint, status=1)
    failed = failure(a_release(app, host))
    assert "broken already" in failed.said
    assert failed.output == (complaint.strip(),)
    assert not host.site.exists()


def test_a_broken_site_of_ours_that_a_power_cut_left_is_no_hindrance(app: App, host: Host) -> None:
    host.programs.answer("nginx -T", err=f"nginx: [emerg] no in {host.site}:1\n", status=1)
    nginx.switch(a_release(app, host))
    assert NEW in host.site.read_text()


def test_a_name_of_another_site_is_refused(app: App, host: Host) -> None:
    host.has_other_sites(f"server {{ listen 443 ssl; server_name www.x {NAME}; }}")
    failed = failure(a_release(app, host))
    assert failed.said.startswith(f"{NAME} on port 443 is taken by another site")
    assert "/etc/nginx/sites-enabled/shop" in failed.said
    assert not host.site.exists()


def test_our_own_file_and_other_names_are_no_hindrance(app: App, host: Host) -> None:
    host.has_other_sites(TEXT, str(host.site))
    nginx.switch(a_release(app, host))
    assert host.site.exists()


def test_another_program_has_the_port(app: App, host: Host) -> None:
    line = 'LISTEN 0 511 *:80 *:* users:(("apache2",pid=7,fd=4))\n'
    host.programs.answer("ss * :80", line)
    failed = failure(a_release(app, host))
    assert failed.said == "port 80 is taken by apache2, nginx cannot listen there"


ANY_SITE = "server { listen 80; server_name ~^; }"
STOCK = "server { listen 80 default_server; listen [::]:80 default_server; server_name _; }"


def test_the_distributions_welcome_page_gives_way(app: App, host: Host) -> None:
    host.has_other_sites(STOCK, "/etc/nginx/sites-enabled/default")
    nginx.switch(a_release(app, host, text=ANY_SITE, names=("_",)))
    assert host.site.exists()


def test_but_not_when_somebody_made_a_site_of_it(app: App, host: Host) -> None:
    host.has_other_sites(STOCK, "/etc/nginx/sites-enabled/default")
    changed = f"??5?????? c {nginx.STOCK.resolve()}\n"
    host.programs.answer("dpkg --verify *", changed)
    failed = failure(a_release(app, host, text=ANY_SITE, names=("_",)))
    assert failed.said.startswith("every name on port 80 is taken")


@pytest.mark.parametrize(
    ("text", "found"),
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
def test_claims(text: str, found: set[tuple[str, str]]) -> None:
    assert {(claim.port, claim.name) for claim in claims(text)} == found


def test_claims_of_several_files() -> None:
    text = "# configuration file /a:\nserver { server_name a; }\n# configuration file /b:\n" + (
        "server { server_name b; }"
    )
    assert claims(text) == (Claim("80", "a", "/a"), Claim("80", "b", "/b"))
    assert clash((Claim("80", "b", "/c"),), claims(text), ()) == Claim("80", "b", "/b")
    assert clash((Claim("80", "b", "/c"),), claims(text), ("/b",)) is None


def expired(name: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1))
        .not_valid_after(datetime(2021, 1, 1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def pems(tmp_path: Path, *names: str) -> dict[str, str]:
    chain, key = certificate(tmp_path / "given", *names)
    return {"CERT": chain.read_text(), "KEY": key.read_text()}


FILES = {"certificate": "files", "certificate_secret": "CERT", "key_secret": "KEY"}


def test_certificates_from_secrets(app: App, host: Host, tmp_path: Path) -> None:
    given = pems(tmp_path, NAME)
    nginx.switch(a_release(app, host, given=given, **FILES))
    assert (host.tls / "fullchain.pem").read_text() == given["CERT"]
    assert (host.tls / "privkey.pem").read_text() == given["KEY"]
    assert {path.stat().st_mode & 0o777 for path in host.tls.iterdir()} == {0o600}
    assert (host.tls.stat().st_mode & 0o777) == 0o700


def test_a_new_certificate_alone_is_taken_up(app: App, host: Host, tmp_path: Path) -> None:
    text = TEXT.replace("RELEASE", "same")
    nginx.switch(a_release(app, host, OLD, text=text, given=pems(tmp_path, NAME), **FILES))
    newer = pems(tmp_path, NAME)
    nginx.switch(a_release(app, host, text=text, given=newer, **FILES))
    assert (host.tls / "fullchain.pem").read_text() == newer["CERT"]
    assert host.taken_up() == [RELOAD] * 2


def test_a_key_that_does_not_fit_is_taken_back(app: App, host: Host, tmp_path: Path) -> None:
    old = pems(tmp_path, NAME)
    nginx.switch(a_release(app, host, OLD, given=old, **FILES))
    host.programs.answer("nginx -t", "nginx: [emerg] SSL_CTX_use_PrivateKey: mismatch\n", status=1)
    failed = failure(
        a_release(app, host, given={**pems(tmp_path, NAME), "KEY": old["KEY"]}, **FILES)
    )
    assert "SSL_CTX_use_PrivateKey" in failed.said
    assert (host.tls / "fullchain.pem").read_text() == old["CERT"]


@pytest.mark.parametrize(
    ("chain", "says"),
    [
        ("", "the secret CERT is no PEM text"),
        ("not a certificate", "the secret CERT is no PEM text"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "openssl cannot read"),
    ],
)
def test_a_certificate_that_is_none(
    app: App, host: Host, tmp_path: Path, chain: str, says: str
) -> None:
    given = {**pems(tmp_path, NAME), "CERT": chain}
    failed = failure(a_release(app, host, given=given, **FILES))
    assert says in failed.said
    assert not host.site.exists()


def test_an_expired_certificate(app: App, host: Host, tmp_path: Path) -> None:
    given = {**pems(tmp_path, NAME), "CERT": expired(NAME)}
    failed = failure(a_release(app, host, given=given, **FILES))
    assert failed.said.startswith("the certificate CERT has expired: ")


def names_in(chain: Path) -> str:
    return subprocess.run(
        ["openssl", "x509", "-in", chain, "-noout", "-ext", "subjectAltName"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_self_signed_is_made_once(app: App, host: Host) -> None:
    nginx.switch(a_release(app, host, OLD, certificate="self-signed", names=(NAME, "*.x.invalid")))
    chain = (host.tls / "fullchain.pem").read_text()
    assert f"DNS:{NAME}, DNS:*.x.invalid" in names_in(host.tls / "fullchain.pem")
    nginx.switch(a_release(app, host, certificate="self-signed", names=(NAME,)))
    assert (host.tls / "fullchain.pem").read_text() == chain


def test_self_signed_is_made_anew_for_other_names(app: App, host: Host) -> None:
    nginx.switch(a_release(app, host, OLD, certificate="self-signed"))
    nginx.switch(a_release(app, host, certificate="self-signed", names=("b.invalid",)))
    assert "DNS:b.invalid" in names_in(host.tls / "fullchain.pem")


def test_self_signed_is_made_anew_before_it_expires(app: App, host: Host) -> None:
    chain, _ = certificate(host.tls, NAME, days=29)
    before = chain.read_text()
    nginx.switch(a_release(app, host, certificate="self-signed"))
    assert chain.read_text() != before
    assert (host.tls / "privkey.pem").stat().st_mode & 0o777 == 0o600


def test_self_signed_for_any_name_and_for_a_long_one(app: App, host: Host) -> None:
    nginx.switch(a_release(app, host, OLD, certificate="self-signed", names=("_",)))
    assert "DNS:localhost, IP Address:127.0.0.1" in names_in(host.tls / "fullchain.pem")
    long = f"{'a' * 60}.example.invalid"
    nginx.switch(a_release(app, host, certificate="self-signed", names=(long,)))
    assert f"DNS:{long}" in names_in(host.tls / "fullchain.pem")


ACME = {"certificate": "acme", "email": "ada@example.invalid"}


def fetches(host: Host, *names: str) -> Path:
    """certbot gets a certificate; while it asks, the site is put aside for the test to look at."""
    chain, key = certificate(host.directory / "fetched", *names)
    live, seen = host.live / "gpuhost-app", host.directory / "seen.conf"
    host.programs.answer(
        "certbot certonly *",
        then=f"cp {host.site} {seen}; mkdir -p {live} && cp {chain} {key} {live}/",
    )
    return seen


def test_acme(app: App, host: Host) -> None:
    seen = fetches(host, NAME)
    nginx.switch(a_release(app, host, **ACME))
    (asked,) = host.programs.called("certbot certonly")
    for words in (f"--webroot -w {host.directory}/acme", "-m ada@example.invalid", f"-d {NAME}"):
        assert words in asked
    assert "--deploy-hook systemctl reload nginx" in asked
    assert seen.read_text() == (
        f"server {{\n    listen 80;\n    server_name {NAME};\n"
        '    location ^~ /.well-known/acme-challenge/ { root "/var/lib/gpuhost/acme"; }\n}\n'
    )
    assert NEW in host.site.read_text()
    assert (host.tls / "privkey.pem").resolve() == host.live / "gpuhost-app" / "privkey.pem"
    assert host.taken_up() == [RELOAD] * 2


def test_acme_again_asks_nobody(app: App, host: Host) -> None:
    fetches(host, NAME)
    release = a_release(app, host, **ACME)
    nginx.switch(release)
    nginx.switch(release)
    assert len(host.programs.called("certbot certonly")) == 1


def test_acme_for_another_name_leaves_the_old_site_until_it_is_there(app: App, host: Host) -> None:
    fetches(host, NAME)
    nginx.switch(a_release(app, host, OLD, **ACME))
    seen = fetches(host, NAME, "b.invalid")
    nginx.switch(a_release(app, host, names=(NAME, "b.invalid"), **ACME))
    assert OLD in seen.read_text()
    assert len(host.programs.called("certbot certonly")) == 2


def test_acme_after_self_signed(app: App, host: Host) -> None:
    nginx.switch(a_release(app, host, OLD, certificate="self-signed"))
    fetches(host, NAME)
    nginx.switch(a_release(app, host, **ACME))
    assert (host.tls / "fullchain.pem").is_symlink()


def test_acme_that_fails_in_certbots_words(app: App, host: Host) -> None:
    host.programs.answer(
        "certbot *", "Timeout during connect (likely firewall problem)\n", status=1
    )
    release = a_release(app, host, **ACME)
    failed = failure(release)
    assert failed.said == f"certbot got no certificate for {NAME}"
    assert failed.output == ("Timeout during connect (likely firewall problem)",)
    assert "port 80" in failed.fix
    nginx.restore(release)
    assert not host.site.exists()


INSIDE = {"where": "container", "service": "proxy", "path": "nginx/site.conf"}
TEST = "docker compose exec -T proxy nginx -t"
TAKE_UP = "docker compose exec -T proxy nginx -s reload"


def test_a_containers_site_is_there_before_it_starts(app: App, host: Host) -> None:
    release = a_release(
        app, host, **{**INSIDE, "certificate": "self-signed", "certificate_dir": "nginx/tls"}
    )
    nginx.place(release)
    shared = app.paths.shared
    assert (shared / "nginx/site.conf").read_text() == release.paths.nginx.read_text()
    assert (shared / "nginx/tls/privkey.pem").stat().st_mode & 0o777 == 0o600
    assert not host.programs.called("exec")


def test_a_running_containers_nginx_takes_it_up(app: App, host: Host) -> None:
    host.programs.answer("docker compose * ps -q proxy", "abc\n")
    file = app.data("nginx/site.conf", "old")
    same = file.stat().st_ino
    nginx.switch(a_release(app, host, **INSIDE))
    assert NEW in file.read_text()
    assert file.stat().st_ino == same
    assert [call for call in host.programs.calls if " exec " in call] == [TEST, TAKE_UP]
    assert host.taken_up() == []


def test_a_containers_nginx_that_refuses(app: App, host: Host) -> None:
    host.programs.answer("docker compose * ps -q proxy", "abc\n")
    host.programs.answer("docker compose * nginx -t", "nginx: [emerg] no\n", status=1)
    failed = failure(a_release(app, host, **INSIDE))
    assert failed.said == "nginx in its container refuses the site"
    assert failed.output == ("nginx: [emerg] no",)
    assert not host.programs.called("reload")


def test_a_site_that_moves_into_a_container_leaves_the_host(app: App, host: Host) -> None:
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
