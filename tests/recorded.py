"""Recorded readings of real hosts, and the edits that turn one into a broken host.

    python -m tests.recorded NAME <reply >tests/fixtures/hosts/NAME.yaml

turns what the collector printed on a host into a fixture.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from gpuhost.domain.nvidia.smi import QUERIES
from gpuhost.snapshot import Probe, Probes, Snapshot
from gpuhost.snapshot.collector import readers_request
from gpuhost.snapshot.transport import decode
from tests.nvidia.details import details, details_of_query

HOSTS = Path(__file__).parent / "fixtures" / "hosts"


@cache
def _recording(name: str) -> dict[str, Any]:
    recording: dict[str, Any] = yaml.safe_load((HOSTS / f"{name}.yaml").read_text("utf-8"))
    if "base" not in recording:
        return recording
    # A recording that holds only what differs from another host's.
    base = _recording(recording["base"])
    return {part: {**base[part], **recording.get(part, {})} for part in ("files", "probes")}


def probes(
    host: str, files: dict[str, str | None] | None = None, changed: dict[str, Any] | None = None
) -> Probes:
    """A recorded host with some files (None: missing) and probes (None: not run) replaced.

    A mapping replaces only the named values of a probe; `rc: null` means that it timed out.
    """
    recording = _recording(host)
    texts = {**recording["files"], **(files or {})}
    by_name: dict[str, dict[str, Any] | None] = {**recording["probes"]}
    for name, change in (changed or {}).items():
        before = by_name.get(name) or {"rc": 0}
        by_name[name] = None if change is None else {**before, **change}
    made = {
        name: Probe(values.get("rc", 0), values.get("out", ""), values.get("err", ""))
        for name, values in by_name.items()
        if values is not None
    }
    made |= {name: probe for name, probe in _defaults().items() if name not in by_name}
    made |= _details(made, by_name.get("nvidia_details"))
    if "files" not in made:
        made["files"] = Probe(0, _grep(texts))
    return Probes(made)


def _details(made: dict[str, Probe], change: dict[str, Any] | None) -> dict[str, Probe]:
    """The cards' own reports, healthy but for the values in `texts`, where nvidia-smi works.

    Hosts were recorded without them; a case may still give the whole output, or none.
    """
    asked = made.get("nvidia_smi", Probe(127)).rc in (0, 14)
    if not asked:
        return {}
    stuck = made.get("nvidia_stuck", Probe(0))
    if change and "texts" not in change:
        return {"nvidia_stuck": stuck}
    for probe, fields in (("nvidia_query", QUERIES[0]), ("nvidia_query_old", QUERIES[1])):
        if probe in made and made[probe].rc in (0, 14):
            texts = (change or {}).get("texts")
            report = Probe(0, details_of_query(made[probe].out, fields, texts))
            return {"nvidia_stuck": stuck, "nvidia_details": report}
    return {"nvidia_stuck": stuck, "nvidia_details": Probe(0, details([]))}


def _defaults() -> dict[str, Probe]:
    """The output of each probe on a host without its subject.

    A host that was recorded before a probe was added gets this for it, and needs no edit.
    """
    return {
        command.name: command.absent
        for command in readers_request().probes
        if command.absent is not None and not command.only_if and command.name != "files"
    }


def _grep(texts: dict[str, str | None]) -> str:
    """The output of `grep -aH ''` for these files."""
    return "".join(
        f"{path}:{line}\n"
        for path, text in texts.items()
        if text is not None
        for line in text.splitlines()
    )


def snapshot_of(case: dict[str, Any]) -> Snapshot:
    """The reading that a case of tests/checks or tests/operations describes."""
    return Snapshot(probes(case["host"], case.get("files"), case.get("probes")))


def raw(case: dict[str, Any]) -> dict[str, Any]:
    """The same, as the Snapshot fact returns it."""
    made = probes(case["host"], case.get("files"), case.get("probes"))
    return {n: {"rc": p.rc, "out": p.out, "err": p.err} for n, p in made.by_name.items()}


def record(reply: list[str]) -> str:
    """A reply of the collector as YAML, file by file and probe by probe."""
    decoded = decode(reply)
    texts: dict[str, list[str]] = {}
    for line in decoded.output("files", allow=(0, 2)).splitlines():
        path, _, text = line.partition(":")
        if path == "/proc/self/mountinfo":
            text = _without_the_labs_directories(text)
        if "_URL=" not in text:
            texts.setdefault(path, []).append(text)
    recording = {
        "files": {path: "\n".join(lines) + "\n" for path, lines in texts.items()},
        "probes": {
            name: {
                key: value
                for key, value in (("rc", probe.rc), ("out", probe.out), ("err", probe.err))
                if value != ""
            }
            for name, probe in decoded.by_name.items()
            if name != "files"
        },
    }
    yaml.SafeDumper.add_representer(str, _block_style)
    text = yaml.safe_dump(recording, sort_keys=False, width=1000, allow_unicode=True)
    return _without_archive_hosts(text, decoded)


def _without_the_labs_directories(mount: str) -> str:
    """A line of mountinfo without the directories of the machine that the host was recorded on."""
    head, _, tail = mount.partition(" - ")
    words = head.split()
    words[3] = "/"
    return " ".join([*words, "-", *tail.split()[:1]])


def _without_archive_hosts(text: str, decoded: Probes) -> str:
    """The recording without the names of the servers that the host's packages came from."""
    sources = decoded.get("apt_sources").out if "apt_sources" in decoded else ""
    for name in sorted(set(re.findall(r"https?://([^/\s]+)", sources)), key=len, reverse=True):
        text = text.replace(name, "archive.example.invalid")
    return text


def _block_style(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


if __name__ == "__main__":
    sys.stdout.write(record(sys.stdin.read().splitlines()))
