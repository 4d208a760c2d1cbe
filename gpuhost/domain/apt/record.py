"""What gpuhost changed in the package sources of a host, from its record on the host."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from gpuhost.domain import host_json
from gpuhost.domain.apt.mirrors import Mirror

DIRECTORY = "/var/lib/gpuhost/apt"
RECORD = f"{DIRECTORY}/record.json"
# Outside /etc/apt: apt would read a copy beside a source, or complain of its name.
ORIGINALS = f"{DIRECTORY}/original"


def saved_path(path: str) -> str:
    """Where the original of a file under /etc/apt is kept."""
    return f"{ORIGINALS}{path}"


def digest(content: str) -> str:
    """SHA-256 of a file's bytes; bytes that are not UTF-8 are kept as surrogates."""
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True)
class Record:
    """The choice of a mirror.

    + setting: `apt_mirror` as it was; `auto` with its candidates.
    + mirror, base: what was chosen; both empty if no candidate works.
    + security: whether the security suites were moved too.
    + chosen_at: the host's time, ISO 8601.
    + passed_over: why earlier candidates were not chosen, by name.
    + written: SHA-256 of each file as it was written.
    """

    setting: str
    mirror: str
    base: str
    security: bool = False
    chosen_at: str = ""
    passed_over: dict[str, str] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)

    def chosen(self) -> Mirror | None:
        return Mirror(self.mirror, self.base) if self.base else None

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Record | None:
        """None for text that is not a record: after a lost record only the choice is repeated."""
        try:
            values = host_json.parse(text)
            record = cls(**values)
        except (ValueError, TypeError, RecursionError):
            return None
        return record if _well_formed(record) else None


def _well_formed(record: Record) -> bool:
    texts: list[Any] = [record.setting, record.mirror, record.base, record.chosen_at]
    return (
        all(isinstance(text, str) for text in texts)
        and isinstance(record.security, bool)
        and _maps_text(record.passed_over)
        and _maps_text(record.written)
    )


def _maps_text(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(v, str) for v in value.values())
