"""What a release was like when it was verified, for whoever asks later what has changed since.

fingerprint.json lies in the release, 0600: hashes of secrets are in it. It is compared where it
lies (gpuhost/snapshot/apps_on_host.py), and only what became of each file leaves the host.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from gpuhost.runner.contract import from_json
from gpuhost.runner.data import schedule
from gpuhost.runner.data.safe_paths import locate
from gpuhost.runner.docker.compose import config, services_to_start
from gpuhost.runner.lib.files import write_json
from gpuhost.runner.site.nginx_sites import claims
from gpuhost.runner.state.release import Release

FORMAT = 1
NAME = "fingerprint.json"


@dataclass(frozen=True)
class Seen:
    """A file as it was.

    + owner: numbers of user and group, "0:0"
    + keys: of a JSON file that holds more than this release's; its hash is that of these alone
    """

    sha256: str
    mode: str
    owner: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Runs:
    """A service that is to run.

    + ports: on the host, "127.0.0.1:3000/tcp", without an address where it is every one
    + ends: the engine does not start it again: it may be gone once its work is done
    """

    count: int
    ports: tuple[str, ...] = ()
    ends: bool = False


@dataclass(frozen=True)
class Fingerprint:
    """+ listens: ports of the site on the host's nginx"""

    files: dict[str, Seen]
    services: dict[str, Runs]
    listens: tuple[int, ...] = ()
    format: int = FORMAT


def keep(release: Release) -> None:
    """Of a release that has just been verified. Raises Failure or OSError."""
    fingerprint = Fingerprint(
        files=dict(_seen(release, (*_delivered(release), *_written(release), *_timed(release)))),
        services=_services(release),
        listens=_listens(release),
    )
    _write(release, fingerprint)


def again(release: Release) -> None:
    """Of a release that was activated again: only the files that this wrote again.

    What else somebody has changed stays a change.
    """
    before = _read(release)
    if before is None:
        return
    files = {**before.files, **dict(_seen(release, _written(release)))}
    _write(release, replace(before, files=files))


def _delivered(release: Release) -> Iterator[Path]:
    """What came with it, and nothing on the host ever writes again."""
    paths = release.paths
    yield from (paths.plan, paths.compose, paths.override, paths.nginx, paths.given)


def _written(release: Release) -> Iterator[Path]:
    """What is written whenever it is activated. Certificates are not: they are renewed."""
    yield from (release.paths.host, release.paths.env, release.app.generated)
    yield from (locate(release, one.path) for one in release.plan.secrets if one.path)
    if release.plan.nginx:
        yield locate(release, release.plan.nginx.path)


def _timed(release: Release) -> Iterator[Path]:
    yield from schedule.unit_files(release.plan.app)
    # Beside them lies logrotate's own note of what it did when.
    yield from (release.app.home / "logrotate" / name for name in ("conf", "passwd", "group"))


def _seen(release: Release, paths: Iterable[Path]) -> Iterator[tuple[str, Seen]]:
    made_here = tuple(sorted(one.name for one in release.plan.secrets if one.generate))
    for path in paths:
        if path == release.app.generated and not made_here:
            continue
        try:
            state = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        if stat.S_ISREG(state.st_mode):
            keys = made_here if path == release.app.generated else ()
            yield str(path), _file(path, state, keys)


def _file(path: Path, state: os.stat_result, keys: tuple[str, ...]) -> Seen:
    return Seen(
        sha256=_sha256(path.read_bytes(), keys),
        mode=f"{stat.S_IMODE(state.st_mode):04o}",
        owner=f"{state.st_uid}:{state.st_gid}",
        keys=keys,
    )


def _sha256(content: bytes, keys: tuple[str, ...]) -> str:
    if keys:
        # A release that failed may have made others: they are none of this one's business.
        values = json.loads(content)
        content = json.dumps({key: values.get(key) for key in keys}, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()


def _services(release: Release) -> dict[str, Runs]:
    sections = config(release)["services"]
    return {name: _runs(release, name, sections[name]) for name in services_to_start(release)}


def _runs(release: Release, name: str, section: Mapping[str, Any]) -> Runs:
    deploy = section.get("deploy") or {}
    count = section.get("scale", deploy.get("replicas"))
    policy = (deploy.get("restart_policy") or {}).get("condition") or section.get("restart")
    return Runs(
        count=int(release.plan.scale.get(name, 1 if count is None else count)),
        ports=tuple(sorted(filter(None, map(_port, section.get("ports") or ())))),
        ends=policy in (None, "", "no", "none"),
    )


def _port(entry: Mapping[str, Any]) -> str:
    """ "" where the engine picks one."""
    published = str(entry.get("published") or "")
    if published in ("", "0"):
        return ""
    address = str(entry.get("host_ip") or "")
    where = "" if address in ("", "0.0.0.0", "::") else f"{address}:"  # noqa: S104
    return f"{where}{published}/{entry.get('protocol') or 'tcp'}"


def _listens(release: Release) -> tuple[int, ...]:
    site = release.plan.nginx
    if site is None or site.where != "host":
        return ()
    site_claims = claims(release.paths.nginx.read_text(encoding="utf-8"))
    return tuple(sorted({int(claim.port) for claim in site_claims}))


def _write(release: Release, fingerprint: Fingerprint) -> None:
    write_json(release.paths.home / NAME, asdict(fingerprint), mode=0o600)


def _read(release: Release) -> Fingerprint | None:
    try:
        value = json.loads((release.paths.home / NAME).read_text(encoding="utf-8"))
        return from_json(Fingerprint, value) if value["format"] == FORMAT else None
    except (OSError, ValueError, TypeError, LookupError):
        return None
