"""What was last applied to the host, from the record that the host keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gpuhost.domain import host_json
from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import Request

APPLIED = "/var/lib/gpuhost/applied.json"
FORMAT = 1
# No time is later: datetime cannot format any number. This is in 2242.
NEVER = 2**33
REQUEST = Request(files=(APPLIED,))


@dataclass(frozen=True)
class Applied:
    """The host's record of a provisioning.

    + at: epoch seconds of the host's clock
    + by: who provisioned it, user@machine
    + settings: every set of settings under which some check was last ok
    + findings: id of a check -> index in `settings` of those under which it was ok
    + facts: state of the host that no setting declares, at that time
    + warned: like `findings`, for checks that later only warned
    """

    at: int
    by: str
    settings: tuple[Mapping[str, Any], ...]
    findings: Mapping[str, int]
    facts: Mapping[str, Any] = field(default_factory=dict)
    warned: Mapping[str, int] = field(default_factory=dict)

    def settings_of(self, id: str) -> Mapping[str, Any] | None:
        """The settings under which the check was last ok; None: it never was."""
        index = self.findings.get(id)
        return None if index is None else self.settings[index]

    def settings_unfailed(self, id: str) -> Mapping[str, Any] | None:
        """The settings under which the check was last ok or warned; None: it always failed."""
        index = self.warned.get(id)
        return self.settings_of(id) if index is None else self.settings[index]

    @classmethod
    def read(cls, probes: Probes) -> Applied | None:
        """None: never provisioned, or with another format of the record, or not read as root.

        Raises NotRead.
        """
        text = _text(probes)
        try:
            document = host_json.parse(text or "null")
            if document["format"] != FORMAT:
                return None
            settings = tuple(dict(values) for values in document["settings"])
            findings, warned = (
                {str(id): int(index) for id, index in part.items()}
                for part in (document["findings"], document.get("warned", {}))
            )
            indexes = (*findings.values(), *warned.values())
            if not all(0 <= index < len(settings) for index in indexes):
                return None
            facts, at = dict(document.get("facts", {})), int(document["at"])
            if not 0 <= at < NEVER:
                return None
            return cls(at, str(document["by"]), settings, findings, facts, warned)
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
            return None


def _text(probes: Probes) -> str | None:
    try:
        return probes.file(APPLIED)
    except NotRead:
        if probes.get("files").rc is None or probes.output("identity").strip() == "0":
            raise
        # Only root can read it: other checks report that root privileges are missing.
        return None
