"""The app's site on an nginx that is one of its own services."""

from __future__ import annotations

import os
from pathlib import Path

from gpuhost.runner.docker.compose import ask, environment, words
from gpuhost.runner.lib.commands import Outcome, try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.site import certificates
from gpuhost.runner.state.release import Release


def place(release: Release) -> None:
    """What it reads when it starts. A running one keeps what it has read."""
    site = release.plan.nginx
    assert site is not None
    text = release.paths.nginx.read_text(encoding="utf-8")
    if site.certificate == "acme" and certificates.is_to_be_fetched(release):
        text = certificates.challenge_site(release, text)
    _write(release, text)


def switch(release: Release) -> None:
    """The running one takes its files up, and with them the new addresses of its upstreams."""
    site = release.plan.nginx
    assert site is not None
    if site.certificate == "acme" and certificates.is_to_be_fetched(release):
        place(release)
        _reload(release)
        certificates.fetch(release)
    _write(release, release.paths.nginx.read_text(encoding="utf-8"))
    if ask(release, "ps", "-q", site.service).out.strip():
        _reload(release)


def _reload(release: Release) -> None:
    tested = _nginx(release, "-t")
    if not tested.ok:
        raise Failure("nginx in its container refuses the site", output=tested.tail)
    told = _nginx(release, "-s", "reload")
    if not told.ok:
        raise Failure("nginx in its container did not load the site", output=told.tail)


def _nginx(release: Release, *arguments: str) -> Outcome:
    assert release.plan.nginx is not None
    command = words(release, "exec", "-T", release.plan.nginx.service, "nginx", *arguments)
    return try_run(release.log, *command, seconds=60, env=environment(release))


def _write(release: Release, text: str) -> None:
    assert release.plan.nginx is not None
    for path, content in certificates.files(release).items():
        _in_place(path, content, 0o600)
    _in_place(release.app.shared / release.plan.nginx.path, text, 0o644)


def _in_place(path: Path, text: str, mode: int) -> None:
    """The same file stays: a container that mounts it alone never sees one that is renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
