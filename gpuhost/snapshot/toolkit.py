"""The NVIDIA Container Toolkit on the host."""

from __future__ import annotations

from dataclasses import dataclass

from gpuhost.domain.toolkit.cdi import DIRECTORIES, Specification, specifications
from gpuhost.domain.toolkit.config import CONFIG, ToolkitConfig, parse_config
from gpuhost.domain.toolkit.packages import PACKAGES
from gpuhost.domain.toolkit.proof import RECORD, Proof, parse
from gpuhost.snapshot.packages import installed_packages
from gpuhost.snapshot.probes import NotRead, Probe, Probes
from gpuhost.snapshot.request import ProbeCommand, Request
from gpuhost.snapshot.units import Unit, read_units

SOURCES = "/etc/apt/sources.list.d/nvidia-container-toolkit.sources"
KEY = "/etc/apt/keyrings/nvidia-container-toolkit.asc"
RUNTIME = "/usr/bin/nvidia-container-runtime"
# dpkg writes it when it unpacks the package; the package's own files keep the date of the release.
INSTALLED = "/var/lib/dpkg/info/nvidia-container-toolkit.list"
REFRESH_UNIT = "nvidia-cdi-refresh.path"
REQUEST = Request(
    files=(SOURCES, KEY, RECORD, CONFIG),
    packages=("nvidia-container-toolkit*", "libnvidia-container*", "libc6"),
    units=(REFRESH_UNIT,),
    plain=(INSTALLED, RUNTIME),
    probes=(
        ProbeCommand(
            "cdi",
            r"""grep -soHE 'lib(cuda|nvidia-ml)\.so\.[0-9.]+|^[[:space:]-]*"?(name|kind)"?:.*'"""
            f" {' '.join(f'{each}/*.yaml {each}/*.json' for each in DIRECTORIES)}",
            absent=Probe(2),
            at_once=True,
        ),
        ProbeCommand(
            "mig_instances",
            "find /proc/driver/nvidia/capabilities -path '*/mig/gi*/ci*/access'",
            absent=Probe(1),
            at_once=True,
        ),
    ),
)


@dataclass(frozen=True)
class Toolkit:
    """The toolkit in one snapshot.

    + packages: versions, of those of the four that are installed
    + held: those that are held
    + libc: version of the C library's package
    + sources, key: our files for apt, None if missing
    + refresh: the unit that keeps the CDI specification fresh; None before 1.18
    + specifications: CDI files by path
    + mig_instances: how many the driver has now
    + proof: the last test of the GPUs in a container
    + config: its own configuration
    """

    packages: dict[str, str]
    held: frozenset[str]
    libc: str
    sources: str | None
    key: str | None
    refresh: Unit | None
    specifications: dict[str, Specification]
    mig_instances: int
    proof: Proof | None
    config: ToolkitConfig

    @classmethod
    def read(cls, probes: Probes) -> Toolkit:
        installed = installed_packages(probes)
        return cls(
            packages={name: installed[name] for name in PACKAGES if name in installed},
            held=_held(probes),
            libc=installed.get("libc6", ""),
            sources=probes.file(SOURCES),
            key=probes.file(KEY),
            refresh=_refresh(probes),
            specifications=specifications(probes.output("cdi", allow=(0, 1, 2))),
            mig_instances=_mig_instances(probes),
            proof=parse(probes.file(RECORD) or ""),
            config=parse_config(probes.file(CONFIG)),
        )

    @property
    def refresh_is_off(self) -> bool:
        """Whether the unit that keeps the specification fresh does not run, now or at boot."""
        return bool(self.refresh and not (self.refresh.enabled and self.refresh.active))


def _refresh(probes: Probes) -> Unit | None:
    """The unit, if its file exists: after a downgrade systemd knows it until it reloads."""
    blocks = (block.splitlines() for block in probes.output("units").split("\n\n"))
    lines = next((lines for lines in blocks if f"Id={REFRESH_UNIT}" in lines), [])
    states = [line.partition("=")[2] for line in lines if line.startswith("UnitFileState=")]
    # "bad": the link that enables it is broken.
    exists = bool(states) and states[0] not in ("", "bad")
    return read_units(probes).get(REFRESH_UNIT) if exists else None


def _held(probes: Probes) -> frozenset[str]:
    rows = (line.split("\t") for line in probes.get("packages").out.splitlines())
    return frozenset(
        row[1] for row in rows if len(row) > 1 and row[0][:1] == "h" and row[1] in PACKAGES
    )


def _mig_instances(probes: Probes) -> int:
    """How many MIG instances there are: the driver has a directory for each."""
    probe = probes.get("mig_instances")
    if probe.rc is None:
        raise NotRead("/proc/driver/nvidia/capabilities: timed out")
    return len(probe.out.splitlines())
