"""The current release of an app: as it was verified, and as the host has it now."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from gpuhost.snapshot.lenient import mapping, mappings, number, text, texts, whole, wholes
from gpuhost.snapshot.probes import NotRead

SAME, CHANGED, MISSING = "same", "changed", "missing"
# systemd: "Next elapse: Mon 2026-11-23 00:00:00 CST", and below "(in UTC): Sun 2026-11-22 16:00:00
# UTC". The second line is missing if the time zone of the host is UTC or GMT.
MOMENT = r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)"
IN_UTC = re.compile(rf"\(in UTC\): \w+ {MOMENT} UTC")
HOST_IS_UTC = re.compile(rf"{MOMENT} (?:UTC|GMT)\b")
# openssl: "notAfter=Nov 21 21:55:03 2026 GMT".
ENDS = {"starts": "notBefore", "ends": "notAfter"}


@dataclass(frozen=True)
class FileState:
    """A file compared with its fingerprint.

    + state: of its content: same, changed or missing
    + was, now: its owner and mode, "0:0 0600"; now is "" if the file is missing
    """

    path: str
    state: str
    was: str
    now: str

    @property
    def complaint(self) -> str:
        """The difference in words; "": none."""
        if self.state != SAME:
            return f"{self.path} is {self.state}"
        return "" if self.was == self.now else f"{self.path} is {self.now}, not {self.was}"


@dataclass(frozen=True)
class DirectoryState:
    """A declared directory, at the verified release and now.

    + was, now: owner and mode, "1001:1001 0750"; now is "" if it is no directory any more
    + inside: entries in it have the new owner too
    """

    path: str
    was: str
    now: str
    inside: bool


@dataclass(frozen=True)
class ReleasedService:
    """ports: on the host, "127.0.0.1:3000/tcp"; ends: it may exit when its work is done."""

    count: int
    ports: tuple[str, ...]
    ends: bool


@dataclass(frozen=True)
class UsedVram:
    """Memory that a service declares on each of its cards, by their or their MIG devices' UUID."""

    service: str
    gb: float
    places: tuple[str, ...]


@dataclass(frozen=True)
class Site:
    """file: the path that nginx reads; certificate: "", "files", "self-signed" or "acme"."""

    where: str
    file: str
    service: str
    certificate: str


@dataclass(frozen=True)
class Certificate:
    """starts, ends: epoch seconds; None: not read, and `complaint` is the reason."""

    path: str
    exists: bool
    starts: int | None
    ends: int | None
    complaint: str


@dataclass(frozen=True)
class Schedule:
    """Scheduled backups.

    + due: when the backup after the newest was due, epoch seconds
    + has_data: the app has data to back up
    + complaint: why `due` is not known
    """

    every: str
    limit_s: int
    due: int | None
    has_data: bool
    complaint: str


@dataclass(frozen=True)
class Details:
    """Details of the current release.

    + kept: it has a fingerprint; releases of an older gpuhost have none
    + images, tags: service -> the id of its image, and the local tag that keeps the image
    + services: the services that must run; listens: ports of its site on the host's nginx
    + site_file: the file of its site, which nginx reads; not in `files`
    + directories: declared ones; None: not recorded
    + rendered: hashes of the rendered files at the release, by file name
    + vram: memory of cards that its services declare
    + start_s: the longest time that the app may take to start
    + last: id, kind and state of the last operation that ended, also of a restore
    """

    kept: bool
    images: Mapping[str, str]
    tags: Mapping[str, str]
    services: Mapping[str, ReleasedService]
    listens: tuple[int, ...]
    files: tuple[FileState, ...]
    site_file: FileState | None
    directories: tuple[DirectoryState, ...] | None
    runner_is_intact: bool
    rendered: Mapping[str, str]
    start_s: int
    with_gpu: bool
    vram: tuple[UsedVram, ...]
    site: Site | None
    certificate: Certificate | None
    schedule: Schedule | None
    last: Mapping[str, str]

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Details:
        """Raises NotRead if the release's files on the host are not valid."""
        if value.get("said"):
            raise NotRead(text(value["said"]) or "its files are not what gpuhost wrote")
        site = _site(mapping(value.get("site")))
        files = tuple(map(_file, mappings(value.get("files"))))
        of_site = [file for file in files if site and file.path == site.file]
        return cls(
            kept=value.get("kept") is True,
            images=_texts_by_name(value.get("images")),
            tags=_texts_by_name(value.get("tags")),
            services={
                name: _service(mapping(service))
                for name, service in mapping(value.get("services")).items()
            },
            listens=wholes(value.get("listens")),
            files=tuple(file for file in files if file not in of_site),
            site_file=of_site[0] if of_site else None,
            directories=_directories(value.get("directories")),
            runner_is_intact=value.get("runner_is_intact") is True,
            rendered=_texts_by_name(value.get("rendered")),
            start_s=whole(value.get("start_s")),
            with_gpu=value.get("with_gpu") is True,
            vram=tuple(_vram(item) for item in mappings(value.get("vram"))),
            site=site,
            certificate=_certificate(mapping(value.get("certificate"))),
            schedule=_schedule(mapping(value.get("schedule"))),
            last=_texts_by_name(value.get("last")),
        )


def _file(value: Mapping[str, Any]) -> FileState:
    return FileState(*(text(value.get(key)) for key in ("path", "state", "was", "now")))


def _directories(value: object) -> tuple[DirectoryState, ...] | None:
    if not isinstance(value, list):
        return None
    return tuple(
        DirectoryState(
            text(one.get("path")),
            text(one.get("was")),
            text(one.get("now")),
            one.get("inside") is True,
        )
        for one in mappings(value)
    )


def _service(value: Mapping[str, Any]) -> ReleasedService:
    return ReleasedService(
        whole(value.get("count")), texts(value.get("ports")), value.get("ends") is True
    )


def _vram(value: Mapping[str, Any]) -> UsedVram:
    gb = max(number(value.get("vram_gb")) or 0, 0)
    return UsedVram(text(value.get("service")), gb, texts(value.get("places")))


def _site(value: Mapping[str, Any]) -> Site | None:
    if not value:
        return None
    return Site(*(text(value.get(key)) for key in ("where", "file", "service", "certificate")))


def _certificate(value: Mapping[str, Any]) -> Certificate | None:
    if not value:
        return None
    printed = dict(line.partition("=")[::2] for line in text(value.get("out")).splitlines())
    starts, ends = (_of_openssl(printed.get(ENDS[key], "")) for key in ("starts", "ends"))
    return Certificate(
        text(value.get("path")),
        value.get("there") is True,
        starts,
        ends,
        text(value.get("said")) or ("" if ends else "openssl printed no date"),
    )


def _schedule(value: Mapping[str, Any]) -> Schedule | None:
    if not value:
        return None
    out = text(value.get("out"))
    moment = IN_UTC.search(out) or HOST_IS_UTC.search(out)
    return Schedule(
        text(value.get("every")),
        whole(value.get("limit_s")),
        _epoch(moment[1], "%Y-%m-%d %H:%M:%S") if moment else None,
        value.get("has_data") is True,
        text(value.get("said")) or ("" if moment else "systemd-analyze printed no time"),
    )


def _of_openssl(moment: str) -> int | None:
    return _epoch(" ".join(moment.split()), "%b %d %H:%M:%S %Y GMT")


def _epoch(moment: str, shape: str) -> int | None:
    try:
        return int(datetime.strptime(moment, shape).replace(tzinfo=timezone.utc).timestamp())
    except ValueError:
        return None


def _texts_by_name(value: object) -> dict[str, str]:
    return {name: item for name, item in mapping(value).items() if isinstance(item, str)}
