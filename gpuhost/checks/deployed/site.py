"""The site of a release: its file is in place, and nginx has loaded it."""

from __future__ import annotations

from gpuhost.checks.deployed import OLDER, deployed_check
from gpuhost.checks.deployed.deployed_app import DeployedApp
from gpuhost.checks.deployed.files import AS_VERIFIED
from gpuhost.checks.deployed.ports import listening
from gpuhost.checks.finding import Verdict, fail, ok, skip


@deployed_check(
    "site",
    "The file of its site is where nginx reads it, as verified, and the host's nginx listens on "
    "its ports.",
)
def site(app: DeployedApp) -> Verdict:
    details = app.details
    if details.site is None:
        return skip("it has no site")
    if not details.kept:
        return skip(OLDER)
    file = details.site_file
    complaint = (
        file.complaint if file else f"{details.site.file} is not in the record of the release"
    )
    if complaint:
        fix = f"add changes worth keeping to x-gpuhost.nginx, then {app.release_command}"
        return fail(AS_VERIFIED, complaint, fix=fix)
    closed = _closed_ports(app)
    if closed:
        ports = ", ".join(map(str, closed))
        fix = "nginx -t; systemctl reload nginx; journalctl -u nginx says why"
        return fail("nginx listens on its ports", f"nginx does not listen on {ports}", fix=fix)
    return ok(details.site.file)


def _closed_ports(app: DeployedApp) -> list[int]:
    """Ports that nginx has not loaded. If nginx does not run, nginx.running reports it."""
    if not app.snapshot.nginx.service.active:
        return []
    sockets = listening(app.snapshot)
    return [port for port in app.details.listens if ("tcp", str(port)) not in sockets]
