"""The site of a release: where nginx reads it, and read by it."""

from __future__ import annotations

from gpuhost.checks.deployed import OLDER, deployed_check
from gpuhost.checks.deployed.deployed_app import DeployedApp
from gpuhost.checks.deployed.files import AS_VERIFIED
from gpuhost.checks.deployed.ports import listening
from gpuhost.checks.finding import Verdict, fail, ok, skip


@deployed_check(
    "site",
    "Its site lies where nginx reads it, as it was when it was verified, and the host's nginx "
    "listens on its ports.",
)
def site(app: DeployedApp) -> Verdict:
    details = app.details
    if details.site is None:
        return skip("it has no site")
    if not details.kept:
        return skip(OLDER)
    file = details.site_file
    complaint = file.complaint if file else f"{details.site.file} was not there"
    if complaint:
        fix = f"put what has to stay into x-gpuhost.nginx, then {app.again}"
        return fail(AS_VERIFIED, complaint, fix=fix)
    deaf = _deaf(app)
    if deaf:
        ports = ", ".join(map(str, deaf))
        fix = "nginx -t; systemctl reload nginx; journalctl -u nginx tells why"
        return fail("nginx listens for it", f"nginx does not listen on {ports}", fix=fix)
    return ok(details.site.file)


def _deaf(app: DeployedApp) -> list[int]:
    """Ports that nginx has not taken up. That it does not run at all is told by nginx.running."""
    if not app.snapshot.nginx.service.active:
        return []
    heard = listening(app.snapshot)
    return [port for port in app.details.listens if ("tcp", str(port)) not in heard]
