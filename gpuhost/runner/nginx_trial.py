"""The host's nginx judges a site before anything is changed for it, away from the site's place.

What only its place tells, names and ports that others have, is judged by `nginx.check`. An nginx in
a container judges its site when it runs: what it finds there is a release's own.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from gpuhost.runner import certificates
from gpuhost.runner.commands import attempt
from gpuhost.runner.failure import Failure
from gpuhost.runner.release import Release

MAIN = """\
pid {place}/pid;
error_log stderr;
events {{}}
http {{
    include /etc/nginx/mime.types;
    include {place}/site.conf;
}}
"""
CERTIFICATE = re.compile(r"^(\s*ssl_certificate(_key)?\s+)[^;\n]+;", re.MULTILINE)
SECONDS = 60


def judge(release: Release) -> None:
    """With a certificate of the moment: its own may only come with the release.

    Raises Failure, in nginx's own words.
    """
    site = release.plan.nginx
    if site is None or site.where != "host":
        return
    with tempfile.TemporaryDirectory(prefix="gpuhost-nginx-") as name:
        place = Path(name)
        text = release.paths.nginx.read_text(encoding="utf-8")
        if site.certificate:
            chain, key = certificates.made(release)
            (place / certificates.CHAIN).write_text(chain, encoding="utf-8")
            (place / certificates.KEY).write_text(key, encoding="utf-8")
            text = CERTIFICATE.sub(lambda found: _of_the_moment(found, place), text)
        (place / "site.conf").write_text(text, encoding="utf-8")
        (place / "nginx.conf").write_text(MAIN.format(place=place), encoding="utf-8")
        tested = attempt(
            release.log, "nginx", "-t", "-q", "-c", f"{place}/nginx.conf", seconds=SECONDS
        )
    if not tested.ok:
        complaint = next((line for line in tested.tail if "[emerg]" in line), "it gave no reason")
        raise Failure(
            f"nginx would refuse the site: {complaint.replace(name, release.plan.app)}",
            output=tested.tail,
            fix="x-gpuhost.nginx of the app file",
        )


def _of_the_moment(found: re.Match[str], place: Path) -> str:
    file = certificates.KEY if found[2] else certificates.CHAIN
    return f"{found[1]}{place}/{file};"
