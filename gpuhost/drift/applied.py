"""The record of what was applied: which checks were ok or only warned, with which settings.

It separates the causes: a check that fails with the recorded settings means that the host has
changed; one that fails only with today's settings means that the repository has.
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

# A proxy's URL may contain a password, a build argument a token: the record has only their hashes.
# A short secret could be guessed from its hash, so only root can read the record.
HASHED = ("proxy_http", "proxy_https")
HASHED_VALUES = ("build_args",)
HASH = re.compile("sha256:[0-9a-f]{64}")
# Replaces a recorded proxy that has only a hash: most checks only ask whether a proxy is set.
SOME_PROXY = "http://proxy.invalid"
# Settings that control runs and reports, not the state of a host.
NOT_RECORDED = ("adopt", "app", "apps", "drift_ignore", "drift_watch")
GOOD = (Status.OK, Status.SKIP)


def to_record(settings: Settings) -> Mapping[str, Any]:
    """Settings as they are recorded, without secrets."""
    values = settings.model_dump(mode="json")
    named = {
        name: value
        for name, value in values.items()
        if name not in NOT_RECORDED and _prefix(name) not in NOT_RECORDED
    }
    hashed = {name: _hash(value) for name, value in named.items() if name in HASHED}
    return _without_values({**named, **hashed})


def _without_values(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Hash the values of build arguments; records of an earlier gpuhost have them in clear."""
    hashed = {
        name: {key: _hash_once(value) for key, value in values[name].items()}
        for name in HASHED_VALUES
        if isinstance(values.get(name), dict)
    }
    return {**values, **hashed}


def _hash_once(value: Any) -> str | None:
    text = str(value)
    return text if HASH.fullmatch(text) else _hash(text)


def _prefix(name: str) -> str:
    return name.partition("_")[0]


def _noun(id: str) -> str:
    return id.partition(".")[0]


def _hash(value: str | None) -> str | None:
    return None if value is None else f"sha256:{hashlib.sha256(value.encode()).hexdigest()}"


def recorded_settings(values: Mapping[str, Any], settings: Settings) -> Settings | None:
    """The settings of a record; None if they are no longer valid.

    + settings: today's, for what the record does not have, and for a proxy with the same hash;
      any other proxy becomes SOME_PROXY
    """
    today = settings.model_dump(mode="json")
    # No check uses build arguments: today's can be used.
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


def proxy_changed(values: Mapping[str, Any], settings: Settings) -> bool:
    """Whether a record's proxy differs from today's, so that the recorded URL is unknown."""
    today = {name: _hash(getattr(settings, name)) for name in HASHED}
    return any(values.get(name, digest) != digest for name, digest in today.items())


@dataclass(frozen=True)
class _Known:
    """By id, the settings with which a check was ok, and those with which it has warned since."""

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

    def redacted(self, without: frozenset[str] = frozenset()) -> _Known:
        """The same without secrets of an earlier gpuhost's record, and without some nouns."""
        ok, warned = (
            {id: _without_values(by) for id, by in known.items() if _noun(id) not in without}
            for known in (self.ok, self.warned)
        )
        return _Known(ok, warned)

    def add(self, finding: Finding, settings: Mapping[str, Any]) -> None:
        """If the check fails or could not be evaluated, its earlier entry stays."""
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
    """The record's new text; None: nothing has changed.

    A check that fails keeps the settings with which it was last ok, or warned.

    + at: epoch seconds, by the host's clock
    + facts: undeclared values that a later reading is compared with; None: as before
    """
    current = to_record(settings)
    known = _Known.of(before).redacted()
    for one in findings:
        known.add(one, current)
    return _text(before, known, facts, at=at, by=by)


def document_without(before: Applied | None, nouns: frozenset[str]) -> str | None:
    """The record after some nouns were removed; None: it has nothing of them."""
    if before is None:
        return None
    known = _Known.of(before).redacted(without=nouns)
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
