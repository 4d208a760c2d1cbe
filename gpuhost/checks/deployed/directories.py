"""Owner and mode of the declared directories, as they were when the release was verified."""

from __future__ import annotations

from shlex import quote

from gpuhost.checks.deployed import OLDER, deployed_check
from gpuhost.checks.deployed.deployed_app import DeployedApp
from gpuhost.checks.deployed.files import AS_VERIFIED
from gpuhost.checks.finding import Verdict, fail, ok, skip
from gpuhost.snapshot.apps_details import DirectoryState


@deployed_check("directories", "Its declared directories have the owner and mode as verified.")
def directories(app: DeployedApp) -> Verdict:
    known = app.details.directories
    if known is None:
        return skip(OLDER)
    if not known:
        return skip("it declares no directories")
    wrong = [one for one in known if one.now != one.was]
    if not wrong:
        return ok(f"{len(known)} directories as verified")
    # The release repairs the directories; what is in them is data, which it does not change.
    commands = [_chown(one) for one in wrong if one.inside]
    fix = "; ".join((*commands, app.release_command))
    return fail(AS_VERIFIED, "; ".join(map(_words, wrong)), fix=fix)


def _words(one: DirectoryState) -> str:
    if not one.now:
        return f"{one.path} is no directory any more"
    inside = ", and so are entries in it" if one.inside else ""
    return f"{one.path} is {one.now}, not {one.was}{inside}"


def _chown(one: DirectoryState) -> str:
    """Only of those entries that have the wrong owner now."""
    was, now = one.was.split()[0], one.now.split()[0]
    return f"chown -R --from={quote(now)} {quote(was)} {quote(one.path)}"
