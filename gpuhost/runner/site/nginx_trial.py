"""Tests a site with nginx in a temporary directory, before any change.

Conflicts with other sites are found by `nginx.check`.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from gpuhost.runner.lib import abort
from gpuhost.runner.lib.commands import Outcome, try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import NOWHERE
from gpuhost.runner.site import certificates
from gpuhost.runner.state.release import Release

MAIN = """\
pid {pid};
error_log stderr;
events {{}}
http {{
    include /etc/nginx/mime.types;
    include {place}/site.conf;
}}
"""
CERTIFICATE = re.compile(r"^(\s*ssl_certificate(_key)?\s+)[^;\n]+;", re.MULTILINE)
SECONDS = 60
# The directory inside a container; it is read-only.
INSIDE = "/gpuhost-trial"
PID_INSIDE = "/tmp/gpuhost-trial.pid"  # noqa: S108
# For a site's configuration; and for what else the image has under the name nginx.
LIMITS = ("--memory=512m", "--pids-limit=64")
# Not an error here: upstreams exist only in the app's network.
UNKNOWN_HOST = "host not found in upstream"


def try_on_host(release: Release) -> None:
    """Raises Failure with nginx's message."""
    site = release.plan.nginx
    if site is None or site.where != "host":
        return
    with tempfile.TemporaryDirectory(prefix="gpuhost-nginx-") as name:
        # Not in /tmp: an app that has it mounted could put a link there, which root would follow.
        _write_files(release, Path(name), seen=name, pid=f"{name}/pid")
        tested = try_run(
            release.log, "nginx", "-t", "-q", "-c", f"{name}/nginx.conf", seconds=SECONDS
        )
    if not tested.ok:
        raise _failure(release, tested, name)


def try_in_container(release: Release) -> None:
    """With the nginx in an image of the release, after the build. Raises Failure."""
    site, images = release.plan.nginx, release.record.images
    image = images.get(site.service) if site and site.where == "container" else None
    if image is None:
        return
    hosts = [f"--add-host={service}:127.0.0.1" for service in sorted(images)]
    with tempfile.TemporaryDirectory(prefix="gpuhost-nginx-") as name:
        _write_files(release, Path(name), seen=INSIDE, pid=PID_INSIDE)
        # For any user of nginx.
        Path(name).chmod(0o755)
        # The name of its directory, so that no other container has it.
        container = Path(name).name
        try:
            tested = try_run(
                release.log,
                *("docker", "run", "--rm", "--name", container, "--network", "none", *LIMITS),
                *(*hosts, "-v", f"{name}:{INSIDE}:ro", "--entrypoint", "nginx", image),
                *("-t", "-q", "-c", f"{INSIDE}/nginx.conf"),
                seconds=SECONDS,
            )
        finally:
            # The container may still run after Docker's client has ended.
            with abort.cleanup():
                try_run(NOWHERE, "docker", "rm", "-f", container, seconds=SECONDS, quiet=True)
    output = "\n".join(tested.tail)
    if not tested.ok and "[emerg]" in output and UNKNOWN_HOST not in output:
        raise _failure(release, tested, INSIDE)


def _write_files(release: Release, directory: Path, *, seen: str, pid: str) -> None:
    """With a temporary certificate: the site's own may not exist yet.

    + seen: the directory, as nginx sees it
    """
    assert release.plan.nginx is not None
    text = release.paths.nginx.read_text(encoding="utf-8")
    if release.plan.nginx.certificate:
        chain, key = certificates.self_signed(release)
        (directory / certificates.CHAIN).write_text(chain, encoding="utf-8")
        (directory / certificates.KEY).write_text(key, encoding="utf-8")
        text = CERTIFICATE.sub(lambda match: _temporary(match, seen), text)
    (directory / "site.conf").write_text(text, encoding="utf-8")
    (directory / "nginx.conf").write_text(MAIN.format(place=seen, pid=pid), encoding="utf-8")


def _failure(release: Release, tested: Outcome, seen: str) -> Failure:
    error = next((line for line in tested.tail if "[emerg]" in line), "no reason given")
    return Failure(
        f"nginx would refuse the site: {error.replace(seen, release.plan.app)}",
        output=tested.tail,
        fix="correct x-gpuhost.nginx in the app file",
    )


def _temporary(match: re.Match[str], place: str) -> str:
    file = certificates.KEY if match[2] else certificates.CHAIN
    return f"{match[1]}{place}/{file};"
