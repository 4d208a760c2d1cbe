"""The certificate of an app's site: it exists, and does not expire soon."""

from __future__ import annotations

from gpuhost.checks.deployed import deployed_check
from gpuhost.checks.deployed.deployed_app import DeployedApp
from gpuhost.checks.finding import Verdict, fail, ok, skip, unknown, warn
from gpuhost.domain.moment import utc
from gpuhost.snapshot.apps_details import Certificate

DAY = 86400
# certbot renews in the last third of a certificate's lifetime, 30 of 90 days. For shorter lifetimes
# it should have renewed before these shares of the lifetime are left.
WARN_DAYS, WARN_SHARE = 28, 0.3
FAIL_DAYS, FAIL_SHARE = 14, 0.15


@deployed_check("certificate", "The certificate of its site exists, and does not expire soon.")
def certificate(app: DeployedApp) -> Verdict:
    details = app.details
    cert, site = details.certificate, details.site
    if cert is None or site is None:
        return skip("its site has no certificate")
    fix = _fix(site.certificate, app)
    if not cert.exists:
        return fail(cert.path, f"{cert.path} does not exist", fix=fix)
    if cert.ends is None:
        return unknown(f"{cert.path}: {cert.complaint}", fix=fix)
    left_s = cert.ends - app.snapshot.system.now
    actual = f"{cert.path} {_expiry(cert.ends, left_s)}"
    is_renewed = site.certificate == "acme"
    if left_s < _minimum_left(cert, FAIL_DAYS, FAIL_SHARE if is_renewed else None):
        return fail("valid for more than a few days", actual, fix=fix)
    if left_s < _minimum_left(cert, WARN_DAYS, WARN_SHARE if is_renewed else None):
        return warn("valid for a month", actual, fix=fix)
    return ok(actual)


def _minimum_left(cert: Certificate, days: int, share: float | None) -> float:
    if share is None or cert.starts is None or cert.ends is None:
        return days * DAY
    return min(days * DAY, (cert.ends - cert.starts) * share)


def _expiry(ends: int, left_s: int) -> str:
    day = f"{utc(ends):%Y-%m-%d}"
    return f"expired on {day}" if left_s < 0 else f"expires in {left_s // DAY} days, on {day}"


def _fix(kind: str, app: DeployedApp) -> str:
    fixes = {
        "acme": "certbot renew; journalctl -u certbot says why it was not renewed",
        "files": f"put a newer certificate at the path in the app file, then {app.release_command}",
    }
    return fixes.get(kind, app.release_command)
