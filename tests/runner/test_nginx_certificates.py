"""The certificates of the app's site: from secrets, self-signed, by ACME."""

from __future__ import annotations

import subprocess
from datetime import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gpuhost.runner.site import nginx
from tests.runner.host_fixtures import NEW, OLD, App, app, programs
from tests.runner.nginx_fixtures import ACME, NAME, RELOAD, TEXT, Host, a_release, failure, host
from tests.runner.site import certificate

__all__ = ["app", "host", "programs"]


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


def test_a_new_certificate_reloads_nginx(app: App, host: Host, tmp_path: Path) -> None:
    text = TEXT.replace("RELEASE", "same")
    nginx.switch(a_release(app, host, OLD, text=text, given=pems(tmp_path, NAME), **FILES))
    newer = pems(tmp_path, NAME)
    nginx.switch(a_release(app, host, text=text, given=newer, **FILES))
    assert (host.tls / "fullchain.pem").read_text() == newer["CERT"]
    assert host.reloads() == [RELOAD] * 2


def test_a_key_that_does_not_match_is_replaced_with_the_previous_files(
    app: App, host: Host, tmp_path: Path
) -> None:
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
        ("", "the secret CERT is not a PEM text"),
        ("not a certificate", "the secret CERT is not a PEM text"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "openssl cannot read"),
    ],
)
def test_an_invalid_certificate(
    app: App, host: Host, tmp_path: Path, chain: str, says: str
) -> None:
    given = {**pems(tmp_path, NAME), "CERT": chain}
    failed = failure(a_release(app, host, given=given, **FILES))
    assert says in failed.said
    assert not host.site.exists()


def test_an_expired_certificate_is_refused(app: App, host: Host, tmp_path: Path) -> None:
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


def test_a_self_signed_certificate_is_created_once(app: App, host: Host) -> None:
    nginx.switch(
        a_release(app, host, OLD, certificate="self-signed", server_names=(NAME, "*.x.invalid"))
    )
    chain = (host.tls / "fullchain.pem").read_text()
    assert f"DNS:{NAME}, DNS:*.x.invalid" in names_in(host.tls / "fullchain.pem")
    nginx.switch(a_release(app, host, certificate="self-signed", server_names=(NAME,)))
    assert (host.tls / "fullchain.pem").read_text() == chain


def test_a_self_signed_certificate_is_renewed_for_other_names(app: App, host: Host) -> None:
    nginx.switch(a_release(app, host, OLD, certificate="self-signed"))
    nginx.switch(a_release(app, host, certificate="self-signed", server_names=("b.invalid",)))
    assert "DNS:b.invalid" in names_in(host.tls / "fullchain.pem")


def test_a_self_signed_certificate_is_renewed_before_it_expires(app: App, host: Host) -> None:
    chain, _ = certificate(host.tls, NAME, days=29)
    before = chain.read_text()
    nginx.switch(a_release(app, host, certificate="self-signed"))
    assert chain.read_text() != before
    assert (host.tls / "privkey.pem").stat().st_mode & 0o777 == 0o600


def test_a_self_signed_certificate_for_any_name_and_for_a_long_name(app: App, host: Host) -> None:
    nginx.switch(a_release(app, host, OLD, certificate="self-signed", server_names=("_",)))
    assert "DNS:localhost, IP Address:127.0.0.1" in names_in(host.tls / "fullchain.pem")
    long = f"{'a' * 60}.example.invalid"
    nginx.switch(a_release(app, host, certificate="self-signed", server_names=(long,)))
    assert f"DNS:{long}" in names_in(host.tls / "fullchain.pem")


def certbot_succeeds(host: Host, *names: str) -> Path:
    """Makes certbot get a certificate; returns a copy of the site as it was at that moment."""
    chain, key = certificate(host.directory / "fetched", *names)
    live, site_during_request = (
        host.live / "gpuhost-app",
        host.directory / "site_during_request.conf",
    )
    host.programs.answer(
        "certbot certonly *",
        then=f"cp {host.site} {site_during_request}; mkdir -p {live} && cp {chain} {key} {live}/",
    )
    return site_during_request


def test_an_acme_certificate(app: App, host: Host) -> None:
    site_during_request = certbot_succeeds(host, NAME)
    nginx.switch(a_release(app, host, **ACME))
    (asked,) = host.programs.called("certbot certonly")
    for words in (f"--webroot -w {host.directory}/acme", "-m ada@example.invalid", f"-d {NAME}"):
        assert words in asked
    assert "--deploy-hook systemctl reload nginx" in asked
    assert site_during_request.read_text() == (
        f"server {{\n    listen 80;\n    server_name {NAME};\n"
        '    location ^~ /.well-known/acme-challenge/ { root "/var/lib/gpuhost/acme"; }\n}\n'
    )
    assert NEW in host.site.read_text()
    assert (host.tls / "privkey.pem").resolve() == host.live / "gpuhost-app" / "privkey.pem"
    assert host.reloads() == [RELOAD] * 2


def test_an_acme_certificate_is_requested_once(app: App, host: Host) -> None:
    certbot_succeeds(host, NAME)
    release = a_release(app, host, **ACME)
    nginx.switch(release)
    nginx.switch(release)
    assert len(host.programs.called("certbot certonly")) == 1


def test_during_an_acme_request_for_another_name_the_previous_site_stays(
    app: App, host: Host
) -> None:
    certbot_succeeds(host, NAME)
    nginx.switch(a_release(app, host, OLD, **ACME))
    site_during_request = certbot_succeeds(host, NAME, "b.invalid")
    nginx.switch(a_release(app, host, server_names=(NAME, "b.invalid"), **ACME))
    assert OLD in site_during_request.read_text()
    assert len(host.programs.called("certbot certonly")) == 2


def test_acme_after_self_signed(app: App, host: Host) -> None:
    nginx.switch(a_release(app, host, OLD, certificate="self-signed"))
    certbot_succeeds(host, NAME)
    nginx.switch(a_release(app, host, **ACME))
    assert (host.tls / "fullchain.pem").is_symlink()


def test_an_error_of_certbot_is_quoted(app: App, host: Host) -> None:
    host.programs.answer(
        "certbot *", "Timeout during connect (likely firewall problem)\n", status=1
    )
    release = a_release(app, host, **ACME)
    failed = failure(release)
    assert failed.said == f"certbot got no certificate for {NAME}"
    assert failed.output == ("Timeout during connect (likely firewall problem)",)
    assert "port 80" in failed.fix
