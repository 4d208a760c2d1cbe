"""The output of the collector's probes, and how a parser gets it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property


class NotRead(Exception):
    """Something could not be read. The message is the reason; the check becomes `unknown`."""


@dataclass(frozen=True)
class Probe:
    """The result of one command: exit status (None: it timed out) and output."""

    rc: int | None
    out: str = ""
    err: str = ""

    @property
    def complaint(self) -> str:
        """The line that best explains the failure."""
        if self.rc is None:
            return "timed out"
        lines = [line for line in (self.err or self.out).splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"exit status {self.rc}"


@dataclass(frozen=True)
class Probes:
    """All commands of one reading, by name.

    + unread: why the host could not be read at all
    """

    by_name: Mapping[str, Probe]
    unread: str = ""

    def __contains__(self, name: str) -> bool:
        return name in self.by_name

    def get(self, name: str) -> Probe:
        """The probe, whatever its exit status.

        Raises NotRead if it was not run.
        """
        try:
            return self.by_name[name]
        except KeyError:
            raise NotRead(self.unread or f"the collector did not run {name}") from None

    def output(self, name: str, *, allow: tuple[int, ...] = (0,)) -> str:
        """The probe's output, if its exit status is allowed.

        Raises NotRead otherwise, with the command's own error.
        """
        probe = self.get(name)
        if probe.rc not in allow:
            raise NotRead(f"{name}: {probe.complaint}")
        return probe.out

    def file(self, path: str) -> str | None:
        """The text of a small file; None if it is missing or empty.

        Raises NotRead if it exists but could not be read.
        """
        if path in self._files:
            return self._files[path]
        for line in self.get("files").err.splitlines():
            if f"{path}:" in line and "No such file" not in line:
                raise NotRead(f"{path}: {line.rpartition(':')[2].strip()}")
        if self.get("files").rc is None:
            raise NotRead(f"{path}: timed out")
        return None

    @cached_property
    def _files(self) -> dict[str, str]:
        return dict(_files_by_path(self.get("files").out))


def _files_by_path(output: str) -> Iterator[tuple[str, str]]:
    """Gather `grep -H ''` output, PATH:LINE, per path."""
    lines: dict[str, list[str]] = {}
    for line in output.split("\n"):
        path, colon, text = line.partition(":")
        if colon and path.startswith("/"):
            lines.setdefault(path, []).append(text)
    return ((path, "\n".join(texts) + "\n") for path, texts in lines.items())
