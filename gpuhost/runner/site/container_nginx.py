"""The app's site on an nginx that is a service of the app."""

from __future__ import annotations

import os
from pathlib import Path

from gpuhost.runner.docker.compose import ask, environment, words
from gpuhost.runner.lib.commands import Outcome, try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.site import certificates
from gpuhost.runner.state.release import Release


def place(release: Release) -> None:
    """Write the files that nginx reads at its start; a running one is not reloaded."""
    site = release.plan.nginx
    assert site is not None
    text = release.paths.nginx.read_text(encoding="utf-8")
    if site.certificate == "acme" and certificates.must_fetch(release):
        text = certificates.challenge_site(release, text)
    _write(release, text)


def switch(release: Release) -> None:
    """Write the files and reload nginx, which then also resolves its upstreams again."""
    site = release.plan.nginx
    assert site is not None
    if site.certificate == "acme" and certificates.must_fetch(release):
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
    reloaded = _nginx(release, "-s", "reload")
    if not reloaded.ok:
        raise Failure("nginx in its container did not load the site", output=reloaded.tail)


def _nginx(release: Release, *arguments: str) -> Outcome:
    assert release.plan.nginx is not None
    command = words(release, "exec", "-T", release.plan.nginx.service, "nginx", *arguments)
    return try_run(release.log, *command, seconds=60, env=environment(release))


def _write(release: Release, text: str) -> None:
    assert release.plan.nginx is not None
    for path, content in certificates.files(release).items():
        _overwrite(path, content, 0o600)
    _overwrite(release.app.shared / release.plan.nginx.path, text, 0o644)


def _overwrite(path: Path, text: str, mode: int) -> None:
    """Not by renaming: a container that mounts the file would not see the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
