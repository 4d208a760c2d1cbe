"""`gpuhost check` with a key whose forced command runs only the reading of the last deploy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpuhost.plans.drift_reading import ALLOWED, reading_files
from gpuhost.plans.request import request_for
from gpuhost.settings import Settings
from tests.cli.conftest import Workplace
from tests.cli.sshd import ADDRESSES, Sshd

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.getuid() != 0, reason="the forced command becomes root"),
]
GOOD, OLDER = ADDRESSES[:2]


def deployed(directory: Path, settings: Settings) -> str:
    """What a deploy with these settings installs; the path of the forced command."""
    directory.mkdir()
    command, allowed = reading_files(request_for(settings))
    (directory / "allowed").write_text(allowed.content)
    path = directory / "read"
    path.write_text(command.content.replace(ALLOWED, str(directory / "allowed")))
    path.chmod(0o755)
    return str(path)


def test_a_host_is_read_as_it_was_deployed_and_not_otherwise(
    workplace: Workplace, sshd: Sshd, tmp_path: Path
) -> None:
    good = deployed(tmp_path / "good", Settings())
    older = deployed(tmp_path / "older", Settings(drift_watch=("/etc/passwd",)))
    run = workplace.check({GOOD: sshd.login(good), OLDER: sshd.login(older)})
    found = {finding["id"]: finding["status"] for finding in run.host(GOOD)["findings"]}
    assert found["memory.total"] in ("ok", "fail")
    refused = run.host(OLDER)
    assert refused["status"] == "error"
    assert "this key may run only the reading script that the last deploy installed" in str(refused)
