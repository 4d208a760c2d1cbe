"""nginx judges a site before anything is changed for it, away from the site's place.

What only its place tells, names and ports that others have, is judged by `nginx.check`, and by an
nginx in a container when it runs.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from gpuhost.runner.lib.commands import Outcome, try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.site import certificates
from gpuhost.runner.state.release import Release

MAIN = """\
pid /tmp/gpuhost-trial.pid;
error_log stderr;
events {{}}
http {{
    include /etc/nginx/mime.types;
    include {place}/site.conf;
}}
"""
CERTIFICATE = re.compile(r"^(\s*ssl_certificate(_key)?\s+)[^;\n]+;", re.MULTILINE)
SECONDS = 60
# Where the files are inside a container.
INSIDE = "/gpuhost-trial"
# Only the app's own network tells.
UNKNOWN_HOST = "host not found in upstream"


def judge(release: Release) -> None:
    """By the host's nginx. Raises Failure, in nginx's own words."""
    site = release.plan.nginx
    if site is None or site.where != "host":
        return
    with tempfile.TemporaryDirectory(prefix="gpuhost-nginx-") as name:
        _laid_out(release, Path(name), seen=name)
        tested = try_run(
            release.log, "nginx", "-t", "-q", "-c", f"{name}/nginx.conf", seconds=SECONDS
        )
    if not tested.ok:
        raise _refused(release, tested, name)


def judge_in_container(release: Release) -> None:
    """By the nginx of one of its images, once they are here. Raises Failure likewise."""
    site, images = release.plan.nginx, release.record.images
    image = images.get(site.service) if site and site.where == "container" else None
    if image is None:
        return
    hosts = [f"--add-host={service}:127.0.0.1" for service in sorted(images)]
    with tempfile.TemporaryDirectory(prefix="gpuhost-nginx-") as name:
        _laid_out(release, Path(name), seen=INSIDE)
        # Whoever nginx is in there, it may read.
        Path(name).chmod(0o755)
        tested = try_run(
            release.log,
            *("docker", "run", "--rm", "--network", "none", *hosts),
            *("-v", f"{name}:{INSIDE}:ro", "--entrypoint", "nginx", image),
            *("-t", "-q", "-c", f"{INSIDE}/nginx.conf"),
            seconds=SECONDS,
        )
    said = "\n".join(tested.tail)
    if not tested.ok and "[emerg]" in said and UNKNOWN_HOST not in said:
        raise _refused(release, tested, INSIDE)


def _laid_out(release: Release, place: Path, *, seen: str) -> None:
    """With a certificate of the moment: its own may only come with the release.

    + seen: the place, as nginx sees it
    """
    assert release.plan.nginx is not None
    text = release.paths.nginx.read_text(encoding="utf-8")
    if release.plan.nginx.certificate:
        chain, key = certificates.made(release)
        (place / certificates.CHAIN).write_text(chain, encoding="utf-8")
        (place / certificates.KEY).write_text(key, encoding="utf-8")
        text = CERTIFICATE.sub(lambda found: _of_the_moment(found, seen), text)
    (place / "site.conf").write_text(text, encoding="utf-8")
    (place / "nginx.conf").write_text(MAIN.format(place=seen), encoding="utf-8")


def _refused(release: Release, tested: Outcome, seen: str) -> Failure:
    complaint = next((line for line in tested.tail if "[emerg]" in line), "it gave no reason")
    return Failure(
        f"nginx would refuse the site: {complaint.replace(seen, release.plan.app)}",
        output=tested.tail,
        fix="x-gpuhost.nginx of the app file",
    )


def _of_the_moment(match: re.Match[str], place: str) -> str:
    file = certificates.KEY if match[2] else certificates.CHAIN
    return f"{match[1]}{place}/{file};"
