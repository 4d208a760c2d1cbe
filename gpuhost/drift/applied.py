"""The record of what was applied: which checks were ok or only warned, and by which settings.

With it a difference is told apart: a check that fails by the settings that were applied tells of a
host that has changed, one that fails only by today's tells of a repository that has.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from gpuhost.checks.finding import Finding, Status
from gpuhost.settings import Settings, fields
from gpuhost.snapshot.applied import FORMAT, Applied

# A proxy's URL may hold a password, a build argument a token: the record, root's alone because
# they could be guessed from it, has their hashes.
HASHED = ("proxy_http", "proxy_https")
HASHED_VALUES = ("build_args",)
HASH = re.compile("sha256:[0-9a-f]{64}")
# Stands for a proxy of which only the hash is known: for most checks it matters that there was one.
SOME_PROXY = "http://proxy.invalid"
# They decide what is done and told, never what a host is like.
NOT_KEPT = ("adopt", "app", "apps", "drift_ignore")
GOOD = (Status.OK, Status.SKIP)


def kept(settings: Settings) -> Mapping[str, Any]:
    """Settings as the record has them, without a secret."""
    values = settings.model_dump(mode="json")
    named = {
        name: value
        for name, value in values.items()
        if name not in NOT_KEPT and _noun(name) not in NOT_KEPT
    }
    hashed = {name: _hash(value) for name, value in named.items() if name in HASHED}
    return _without_values({**named, **hashed})


def _without_values(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Records of an earlier gpuhost have build arguments as they were declared."""
    hashed = {
        name: {key: _hash_once(value) for key, value in values[name].items()}
        for name in HASHED_VALUES
        if isinstance(values.get(name), dict)
    }
    return {**values, **hashed}


def _hash_once(value: Any) -> str | None:
    text = str(value)
    return text if HASH.fullmatch(text) else _hash(text)


def _noun(name: str) -> str:
    return name.partition("_")[0]


def _hash(value: str | None) -> str | None:
    return None if value is None else f"sha256:{hashlib.sha256(value.encode()).hexdigest()}"


def settings_then(values: Mapping[str, Any], settings: Settings) -> Settings | None:
    """The settings of a record; None where those of today cannot express them.

    + settings: today's; what the record does not have is theirs, and proxies are where their
      hashes agree; in place of another proxy is one that no host has
    """
    today = settings.model_dump(mode="json")
    # No check asks for build arguments: those of today do.
    known = fields().keys() - {*HASHED_VALUES}
    given = {name: value for name, value in values.items() if name in known}
    proxies = {name: _proxy(given[name], today[name]) for name in HASHED if name in given}
    try:
        return Settings.model_validate_json(json.dumps({**today, **given, **proxies}))
    except ValidationError:
        return None


def _proxy(recorded: str | None, today: str | None) -> str | None:
    if recorded == _hash(today):
        return today
    return None if recorded is None else SOME_PROXY


def is_other_proxy(values: Mapping[str, Any], settings: Settings) -> bool:
    """Whether a record's proxy is another than today's, so that of one of them only a hash, or
    nothing, is known."""
    today = {name: _hash(getattr(settings, name)) for name in HASHED}
    return any(values.get(name, digest) != digest for name, digest in today.items())


@dataclass(frozen=True)
class _Known:
    """By id, the settings by which a check was ok, and those by which it has only warned since."""

    ok: dict[str, Mapping[str, Any]]
    warned: dict[str, Mapping[str, Any]]

    @classmethod
    def of(cls, record: Applied | None) -> _Known:
        if record is None:
            return cls({}, {})
        ok, warned = (
            {id: record.settings[place] for id, place in places.items()}
            for places in (record.findings, record.warned)
        )
        return cls(ok, warned)

    def cleaned(self, but: frozenset[str] = frozenset()) -> _Known:
        """The same without secrets of an earlier gpuhost's record, and without some nouns."""
        ok, warned = (
            {id: _without_values(by) for id, by in known.items() if id.partition(".")[0] not in but}
            for known in (self.ok, self.warned)
        )
        return _Known(ok, warned)

    def add(self, finding: Finding, settings: Mapping[str, Any]) -> None:
        """Of what fails, or could not be judged, what is known stays."""
        if finding.later and finding.id in {*self.ok, *self.warned}:
            return
        if finding.status in GOOD:
            self.ok[finding.id] = settings
            self.warned.pop(finding.id, None)
        elif finding.status is Status.WARN:
            self.warned[finding.id] = settings


def document(
    before: Applied | None,
    settings: Settings,
    findings: Iterable[Finding],
    *,
    at: int,
    by: str,
    facts: Mapping[str, Any] | None = None,
) -> str | None:
    """The record's new text; None: what it has is as good.

    What fails now keeps the settings by which it was ok, or warned, last.

    + at: epoch seconds, by the host's clock
    + facts: what nobody declares and a later reading is compared with; None: as before
    """
    now = kept(settings)
    known = _Known.of(before).cleaned()
    for one in findings:
        known.add(one, now)
    return _text(before, known, facts, at=at, by=by)


def document_without(before: Applied | None, nouns: frozenset[str]) -> str | None:
    """The record after some nouns were taken away; None: nothing of them is in it."""
    if before is None:
        return None
    known = _Known.of(before).cleaned(but=nouns)
    return _text(before, known, None, at=before.at, by=before.by)


def _text(
    before: Applied | None,
    known: _Known,
    facts: Mapping[str, Any] | None,
    *,
    at: int,
    by: str,
) -> str | None:
    remembered = before.facts if before else {}
    facts = remembered if facts is None else facts
    settings: list[Mapping[str, Any]] = []
    for values in (*known.ok.values(), *known.warned.values()):
        if values not in settings:
            settings.append(values)
    findings, warned = (
        {id: settings.index(values) for id, values in by_id.items()}
        for by_id in (known.ok, known.warned)
    )
    if before and known == _Known.of(before) and facts == remembered:
        return None
    record = {
        "format": FORMAT,
        "at": at,
        "by": by,
        "settings": settings,
        "findings": findings,
        **({"warned": warned} if warned else {}),
        **({"facts": facts} if facts else {}),
    }
    return json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
