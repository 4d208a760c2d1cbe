"""What a release has on disk, and whether it is still what was verified."""

from __future__ import annotations

from gpuhost.checks.deployed import OLDER, deployed_check
from gpuhost.checks.deployed.deployed_app import DeployedApp
from gpuhost.checks.finding import Verdict, fail, ok, skip

AS_VERIFIED = "as it was when it was verified"


@deployed_check(
    "files",
    "Its Compose files, secrets, timers and log rotation have the content, owner and mode with "
    "which it was verified; its runner is the one that gpuhost sent.",
)
def files(app: DeployedApp) -> Verdict:
    details = app.details
    if not details.kept:
        return skip(OLDER)
    wrong = [file.complaint for file in details.files if file.complaint]
    if not details.runner_is_intact:
        wrong.append("its runner.pyz is changed")
    if not wrong:
        return ok(f"{len(details.files)} files as verified")
    return fail(
        AS_VERIFIED,
        "; ".join(wrong),
        fix=f"put what has to stay into the repository, then {app.again}",
    )
