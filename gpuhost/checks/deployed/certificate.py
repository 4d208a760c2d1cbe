"""The certificate of an app's site: there, and good for a while."""

from __future__ import annotations

from datetime import datetime, timezone

from gpuhost.checks.deployed import deployed_check
from gpuhost.checks.deployed.deployed_app import DeployedApp
from gpuhost.checks.finding import Verdict, fail, ok, skip, unknown, warn
from gpuhost.snapshot.apps_details import Certificate

DAY = 86400
# certbot renews in the last third of a certificate's time, 30 days of 90. Of the shorter ones that
# authorities give out now these are the shares of what is left when it ought to have done so.
WARN_DAYS, WARN_SHARE = 28, 0.3
FAIL_DAYS, FAIL_SHARE = 14, 0.15


@deployed_check("certificate", "The certificate of its site is there, and not near its end.")
def certificate(app: DeployedApp) -> Verdict:
    details = app.details
    found, site = details.certificate, details.site
    if found is None or site is None:
        return skip("its site has no certificate")
    fix = _fix(site.certificate, app)
    if not found.there:
        return fail(found.path, f"{found.path} is not there", fix=fix)
    if found.ends is None:
        return unknown(f"{found.path}: {found.complaint}", fix=fix)
    left = found.ends - app.snapshot.system.now
    said = f"{found.path} {_until(found.ends, left)}"
    is_renewed = site.certificate == "acme"
    if left < _least(found, FAIL_DAYS, FAIL_SHARE if is_renewed else None):
        return fail("more than a few days", said, fix=fix)
    if left < _least(found, WARN_DAYS, WARN_SHARE if is_renewed else None):
        return warn("a month", said, fix=fix)
    return ok(said)


def _least(found: Certificate, days: int, share: float | None) -> float:
    if share is None or found.starts is None or found.ends is None:
        return days * DAY
    return min(days * DAY, (found.ends - found.starts) * share)


def _until(ends: int, left: int) -> str:
    day = f"{datetime.fromtimestamp(ends, timezone.utc):%Y-%m-%d}"
    return f"has ended on {day}" if left < 0 else f"ends in {left // DAY} days, on {day}"


def _fix(kind: str, app: DeployedApp) -> str:
    ways = {
        "acme": "certbot renew; journalctl -u certbot tells why it was not renewed",
        "files": f"give a newer certificate where the app file says, then {app.again}",
    }
    return ways.get(kind, app.again)
