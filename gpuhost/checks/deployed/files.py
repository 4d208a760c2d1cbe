"""The files of a release, and whether they are still as they were verified."""

from __future__ import annotations

from gpuhost.checks.deployed import OLDER, deployed_check
from gpuhost.checks.deployed.deployed_app import DeployedApp
from gpuhost.checks.finding import Verdict, fail, ok, skip

AS_VERIFIED = "as verified"


@deployed_check(
    "files",
    "Its Compose files, secrets, timers and log rotation have the content, owner and mode as "
    "verified; its runner is the one that gpuhost sent.",
)
def files(app: DeployedApp) -> Verdict:
    details = app.details
    if not details.kept:
        return skip(OLDER)
    wrong = [file.complaint for file in details.files if file.complaint]
    if not details.runner_is_intact:
        wrong.append("its runner.pyz has changed")
    if not wrong:
        return ok(f"{len(details.files)} files as verified")
    return fail(
        AS_VERIFIED,
        "; ".join(wrong),
        fix=f"add changes worth keeping to the repository, then {app.release_command}",
    )
