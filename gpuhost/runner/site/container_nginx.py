"""The app's site on an nginx that is a service of the app."""

from __future__ import annotations

import posixpath

from gpuhost.runner.data.safe_paths import locate, open_directory
from gpuhost.runner.docker.compose import ask, environment, words
from gpuhost.runner.lib.commands import Outcome, try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.site import certificates
from gpuhost.runner.state.release import Release


def place(release: Release) -> None:
    """Write the files that nginx reads at its start; a running one is not reloaded."""
    site = release.plan.nginx
    assert site is not None
    for path, content in certificates.files(release).items():
        _overwrite(release, str(path), content, 0o600)
    _overwrite(release, site.path, release.paths.nginx.read_text(encoding="utf-8"), 0o644)


def switch(release: Release) -> None:
    """Write the files and reload nginx, which then also resolves its upstreams again."""
    site = release.plan.nginx
    assert site is not None
    place(release)
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


def _overwrite(release: Release, path: str, text: str, mode: int) -> None:
    """In place: a container that mounts the file would not see a new one.

    Raises Failure if a container has put something else there: it can write in these directories.
    """
    directory, name = posixpath.split(path)
    try:
        with open_directory(release, directory or ".", make=True) as handle:
            handle.overwrite(name, text.encode(), mode)
    except OSError as error:
        raise Failure(
            f"nginx: {path}: {error.strerror}",
            fix=f"find out what put it there, and move {locate(release, path)} away: gpuhost "
            "writes a regular file, and follows no link",
        ) from None
