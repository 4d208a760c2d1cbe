"""The host itself: distribution, architecture, kernel, clock, who reads it."""

from __future__ import annotations

from dataclasses import dataclass

from gpuhost.snapshot.probes import NotRead, Probes


@dataclass(frozen=True)
class System:
    """The host and the one who reads it.

    + now: the host's clock, epoch seconds
    + root: this reading was made as root
    + sudo: the one who logged in became root by sudo
    """

    distribution: str
    version: str
    codename: str
    pretty_name: str
    machine: str
    kernel: str
    hostname: str
    now: int
    root: bool
    sudo: bool

    @property
    def architecture(self) -> str:
        """As dpkg says it: amd64, arm64."""
        return {"x86_64": "amd64", "aarch64": "arm64"}.get(self.machine, self.machine)

    @classmethod
    def read(cls, probes: Probes) -> System:
        release = _assignments(probes.file("/etc/os-release") or "")
        if "ID" not in release:
            raise NotRead("/etc/os-release names no distribution")
        words = probes.output("kernel").split()
        if len(words) != 4:
            raise NotRead("uname printed something else than four words")
        _, hostname, kernel, machine = words
        return cls(
            distribution=release["ID"],
            version=release.get("VERSION_ID", ""),
            codename=release.get("VERSION_CODENAME", ""),
            pretty_name=release.get("PRETTY_NAME", release["ID"]),
            machine=machine,
            kernel=kernel,
            hostname=hostname,
            now=int(probes.output("clock").strip() or 0),
            root=probes.output("identity").strip() == "0",
            sudo=bool(probes.output("sudo_user", allow=(0, 1)).strip()),
        )


def _assignments(text: str) -> dict[str, str]:
    """KEY=value or KEY="value" lines, as os-release has them."""
    values = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            values[key.strip()] = value.strip().strip("\"'")
    return values
