"""A site's certificate: from secrets, self-signed, or from certbot, which renews it."""

from __future__ import annotations

import re
import socket
import tempfile
from pathlib import Path

from gpuhost.runner.data.safe_paths import open_directory
from gpuhost.runner.lib.commands import Outcome, run, try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import point
from gpuhost.runner.plan import Nginx
from gpuhost.runner.state.release import Release

CHAIN = "fullchain.pem"
KEY = "privkey.pem"
CHALLENGES = Path("/var/lib/gpuhost/acme")
LIVE = Path("/etc/letsencrypt/live")
# A release renews a certificate that expires sooner; certbot has the same limit.
SPARE_S = 30 * 24 * 3600
SELF_SIGNED_DAYS = 825
# Characters; the limit of X.509 for a common name.
LONGEST_CN = 64
# A chain is much smaller.
MAX_BYTES = 1 << 20


def directory(release: Release) -> Path:
    """The directory of chain and key: absolute, or under shared/ for a container's nginx."""
    assert release.plan.nginx is not None
    return release.app.shared / release.plan.nginx.certificate_dir


def trusted(release: Release) -> str | None:
    """The site's chain, to trust in requests; None: no TLS. Raises Failure."""
    site = release.plan.nginx
    return _read(release, CHAIN) or "" if site and site.certificate else None


def files(release: Release) -> dict[Path, str]:
    """Chain and key to write, with mode 0600; empty for certbot's.

    Raises Failure for an invalid certificate.
    """
    site = release.plan.nginx
    if site is None or site.certificate not in ("files", "self-signed"):
        return {}
    target = directory(release)
    if site.certificate == "files":
        chain, key = (_secret(release, n) for n in (site.certificate_secret, site.key_secret))
        _require_valid(release, chain)
    else:
        chain, key = _existing(release) or self_signed(release)
    return {target / CHAIN: chain, target / KEY: key}


def is_good(release: Release) -> bool:
    """Whether the existing certificate has all names and is valid for another 30 days."""
    assert release.plan.nginx is not None
    chain = _read(release, CHAIN)
    if chain is None:
        return False
    words = ("openssl", "x509", "-noout")

    def ask(*more: str) -> Outcome:
        return try_run(release.log, *words, *more, seconds=30, stdin=chain, quiet=True)

    certified = set(re.findall(r"(?:DNS|IP Address):([^,\s]+)", ask("-ext", "subjectAltName").out))
    is_valid = ask("-checkend", str(SPARE_S)).ok
    return is_valid and set(_names(release.plan.nginx)) <= certified


def must_fetch(release: Release) -> bool:
    """Whether the existing certificate is not certbot's, not good, or has other names."""
    live = LIVE / lineage(release) / CHAIN
    if not live.exists() or _read(release, CHAIN) != live.read_text():
        return True
    return not is_good(release)


def challenge_site(release: Release, text: str) -> str:
    """A site on port 80 only, until the certificate exists.

    + text: the release's site, from which it takes listen lines and names
    """
    first = text[text.index("server {") :].splitlines()
    kept = [line.strip() for line in first[: first.index("}")]]
    lines = [line for line in kept if line.startswith(("listen ", "server_name ", "root "))]
    head = [line for line in lines if not line.startswith("root ")]
    root = next(line for line in lines if line.startswith("root "))
    inside = f"    location ^~ /.well-known/acme-challenge/ {{ {root} }}"
    return "\n".join(["server {", *(f"    {line}" for line in head), inside, "}", ""])


def fetch(release: Release) -> None:
    """Get the certificate with certbot, whose timer renews it and reloads the host's nginx.

    Port 80 must answer challenges already. Raises Failure with certbot's message.
    """
    site = release.plan.nginx
    assert site is not None
    CHALLENGES.mkdir(parents=True, exist_ok=True)
    names = [word for name in site.server_names for word in ("-d", name)]
    outcome = try_run(
        release.log,
        *("certbot", "certonly", "--webroot", "-w", str(CHALLENGES), "-n", "--agree-tos"),
        *("-m", site.email, "--cert-name", lineage(release), "--keep-until-expiring"),
        # certbot stores the hook: every later renewal runs it too.
        *("--expand", "--deploy-hook", "systemctl reload nginx", *names),
        seconds=300,
    )
    if not outcome.ok:
        raise Failure(
            f"certbot got no certificate for {', '.join(site.server_names)}",
            output=outcome.tail,
            fix="point every name to this host, and open port 80 to the world (firewall_allow, and "
            "the provider's firewall)",
        )
    _install(release)


def lineage(release: Release) -> str:
    """certbot's name for the certificate."""
    return f"gpuhost-{release.plan.app}"


def _install(release: Release) -> None:
    target, live = directory(release), LIVE / lineage(release)
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in (CHAIN, KEY):
        point(target / name, str(live / name))


def _secret(release: Release, name: str | None) -> str:
    text = release.secrets.get(name or "", "")
    if "-----BEGIN" not in text:
        raise Failure(
            f"the secret {name} is not in PEM format",
            fix="give the content of the file, from its -----BEGIN line on",
        )
    return text.rstrip("\n") + "\n"


def _require_valid(release: Release, chain: str) -> None:
    command = ("openssl", "x509", "-noout", "-checkend", "0", "-enddate")
    outcome = try_run(release.log, *command, seconds=30, stdin=chain, quiet=True)
    if outcome.ok:
        return
    end = outcome.out.strip().removeprefix("notAfter=").splitlines()
    name = release.plan.nginx.certificate_secret if release.plan.nginx else None
    if not end:
        raise Failure(f"openssl cannot read the certificate {name}", output=outcome.tail)
    raise Failure(f"the certificate {name} has expired: {end[0]}", fix="give a newer certificate")


def _existing(release: Release) -> tuple[str, str] | None:
    chain, key = _read(release, CHAIN), _read(release, KEY)
    return (chain, key) if chain and key and is_good(release) else None


def _read(release: Release, name: str) -> str | None:
    """The chain or the key; None if it does not exist. A container may have put a pipe there.

    Raises Failure.
    """
    site = release.plan.nginx
    assert site is not None
    if site.where == "host":
        path = directory(release) / name
        return path.read_text() if path.exists() else None
    try:
        with open_directory(release, site.certificate_dir) as handle, handle.read(name) as file:
            return file.read(MAX_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Failure(
            f"nginx: {site.certificate_dir}/{name}: {error.strerror}",
            fix=f"find out what put it there, and move {directory(release) / name} away",
        ) from None


def self_signed(release: Release) -> tuple[str, str]:
    """A new self-signed chain and its key. Raises Failure."""
    assert release.plan.nginx is not None
    names = _names(release.plan.nginx)
    kinds = (f"{'IP' if _is_address(name) else 'DNS'}:{name}" for name in names)
    common = names[0] if len(names[0]) <= LONGEST_CN else "gpuhost"
    with tempfile.TemporaryDirectory() as name:
        chain, key = Path(name, CHAIN), Path(name, KEY)
        run(
            release.log,
            *("openssl", "req", "-x509", "-nodes", "-newkey", "ec"),
            *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", str(SELF_SIGNED_DAYS)),
            *("-subj", f"/CN={common}", "-addext", f"subjectAltName={','.join(kinds)}"),
            *("-keyout", str(key), "-out", str(chain)),
            seconds=60,
            what="making a self-signed certificate",
        )
        return chain.read_text(), key.read_text()


def _names(site: Nginx) -> tuple[str, ...]:
    """The names in a certificate; for a site with any name, the names of this host."""
    names = tuple(name for name in site.server_names if name != "_")
    return names or (socket.gethostname(), "localhost", "127.0.0.1")


def _is_address(name: str) -> bool:
    return re.fullmatch(r"[0-9.]+", name) is not None
