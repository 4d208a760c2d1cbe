"""Keys of nightly drift checks that may log in to this host, known by the comment of the key."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpuhost.snapshot.checkout import ACCOUNT
from gpuhost.snapshot.probes import Probe, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

FILES = "/root/.ssh/authorized_keys* /home/*/.ssh/authorized_keys* ~/.ssh/authorized_keys*"
REQUEST = Request(
    probes=(
        ProbeCommand(
            "drift_keys",
            f"grep -snHE '^[^#].* {ACCOUNT}@' {FILES}",
            absent=Probe(1),
            at_once=True,
        ),
    )
)
LINE = re.compile(r"(/[^:]*/authorized_keys2?):(\d{1,9}):(.*)", re.ASCII)
KEY_TYPE = re.compile(r"(?:ssh|ecdsa|sk)-[\w@.-]+ ", re.ASCII)


@dataclass(frozen=True)
class DriftKey:
    """A line of authorized_keys.

    + options: before the key, sshd(8)
    """

    path: str
    line: int
    options: str

    @property
    def has_command(self) -> bool:
        return bool(re.search(r'(?:^|,)command="', self.options, re.IGNORECASE))

    @property
    def is_restricted(self) -> bool:
        """It runs one command, and forwards nothing."""
        closed = re.search(r"(?:^|,)(?:restrict|no-port-forwarding)(?:,|$)", self.options, re.I)
        return self.has_command and bool(closed)


def read_drift_keys(probes: Probes) -> tuple[DriftKey, ...]:
    """Raises NotRead."""
    # 2: a file is missing, or cannot be read by this user.
    out = probes.output("drift_keys", allow=(0, 1, 2))
    lines = [match for line in out.splitlines() if (match := LINE.fullmatch(line))]
    found = {(match[1], int(match[2])): _options(match[3]) for match in lines}
    return tuple(DriftKey(path, number, options) for (path, number), options in found.items())


def _options(line: str) -> str:
    """What stands before the key's type; a quoted option may have spaces."""
    quoted = re.sub(r'"(?:\\.|[^"\\])*"', lambda text: "x" * len(text[0]), line.strip())
    match = KEY_TYPE.search(quoted)
    return line.strip()[: match.start()].strip() if match else ""
