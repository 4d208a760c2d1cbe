"""Which driver each CUDA needs, which CUDA each driver branch brings, how long branches last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from gpuhost.domain.nvidia.version import CudaVersion, DriverVersion


@dataclass(frozen=True)
class Toolkit:
    """A CUDA release and the driver that it was released with, the lowest that runs all of it."""

    cuda: CudaVersion
    driver: DriverVersion


# CUDA Toolkit release notes (13.2 Update 2), table 3, "CUDA Toolkit and Corresponding Driver
# Versions", Linux x86_64. There was no CUDA 12.7.
# 13.3: the same table, as quoted by users in 2026-06. 13.4: its row was not seen; 615.71.09 is the
# lowest driver that was seen to report it (2026-10). 13.4 came out as 13.4.1.
_TABLE = """
11.0   450.51.05     11.0.3 450.51.06     11.1   455.23        11.1.1 455.32
11.2   460.27.03     11.2.1 460.32.03     11.2.2 460.32.03     11.3   465.19.01
11.3.1 465.19.01     11.4   470.42.01     11.4.1 470.57.02     11.4.2 470.57.02
11.4.3 470.82.01     11.4.4 470.82.01     11.5   495.29.05     11.5.1 495.29.05
11.5.2 495.29.05     11.6   510.39.01     11.6.1 510.47.03     11.6.2 510.47.03
11.7   515.43.04     11.7.1 515.48.07     11.8   520.61.05
12.0   525.60.13     12.0.1 525.85.12     12.1   530.30.02     12.1.1 530.30.02
12.2   535.54.03     12.2.1 535.86.09     12.2.2 535.104.05    12.3   545.23.06
12.3.1 545.23.08     12.4   550.54.14     12.4.1 550.54.15     12.5   555.42.02
12.5.1 555.42.06     12.6   560.28.03     12.6.1 560.35.03     12.6.2 560.35.03
12.6.3 560.35.05     12.8   570.26        12.8.1 570.124.06    12.9   575.51.03
12.9.1 575.57.08
13.0   580.65.06     13.0.1 580.82.07     13.0.2 580.95.05     13.1   590.44.01
13.1.1 590.48.01     13.2   595.45.04     13.2.1 595.58.03     13.2.2 595.71.05
13.3   610.43.02     13.3.1 610.43.02     13.4.1 615.71.09
"""


def _toolkits() -> tuple[Toolkit, ...]:
    words = iter(_TABLE.split())
    pairs = zip(words, words, strict=True)
    return tuple(Toolkit(CudaVersion.parse(c), DriverVersion.parse(d)) for c, d in pairs)


TOOLKITS = _toolkits()

# CUDA Compatibility, "Minor version compatibility"; the release notes print the branch alone for
# CUDA 13, whose first release is 580.65.06.
MINOR_VERSION_FLOOR = {
    11: DriverVersion.parse("450.80.02"),
    12: DriverVersion.parse("525.60.13"),
    13: DriverVersion.parse("580.65.06"),
}

# The CUDA that nvidia-smi of each branch reports. 565 reports 12.7, of which no toolkit came out.
BRANCH_CUDA = {
    branch: CudaVersion.parse(cuda)
    for branch, cuda in {
        450: "11.0",
        455: "11.1",
        460: "11.2",
        465: "11.3",
        470: "11.4",
        495: "11.5",
        510: "11.6",
        515: "11.7",
        520: "11.8",
        525: "12.0",
        530: "12.1",
        535: "12.2",
        545: "12.3",
        550: "12.4",
        555: "12.5",
        560: "12.6",
        565: "12.7",
        570: "12.8",
        575: "12.9",
        580: "13.0",
        590: "13.1",
        595: "13.2",
        610: "13.3",
        615: "13.4",
    }.items()
}

_LOWEST_DRIVER = {
    **{row.cuda.release: row.driver for row in reversed(TOOLKITS)},
    CudaVersion(12, 7): DriverVersion((565,), "565"),
    CudaVersion(13, 4): DriverVersion((615,), "615"),
}

# NVIDIA data-center driver documentation (v615, v620), "Supported drivers and CUDA toolkit
# versions": the last month of support. 570: the v590 edition.
BRANCH_END = {
    535: date(2026, 6, 30),
    570: date(2026, 2, 28),
    580: date(2028, 6, 30),
    595: date(2027, 3, 31),
    610: date(2026, 8, 31),
    620: date(2029, 9, 30),
}
# The same documentation's v580 edition (2025-08) no longer supports them. New feature branches,
# such as 590 and 615, have no date there: their end is not known.
BRANCHES_ENDED = frozenset({545, 550, 555, 560, 565, 575})

# What to install, best first: the branch with the longest support, then those for a newer CUDA.
# 470 is Kepler's last and no longer supported.
RECOMMENDED_BRANCHES = (580, 595, 615, 470)


def driver_cuda(driver: DriverVersion) -> CudaVersion | None:
    """The CUDA that a driver brings; None before CUDA 11.

    What the driver itself reports goes before the table: the table ends at its newest branch. A
    driver of a branch that is older than the branch's first CUDA release counts as the branch
    before: 525.60.12 brings 11.8.
    """
    if driver.cuda is not None:
        return driver.cuda
    brought = [cuda for cuda, lowest in _LOWEST_DRIVER.items() if driver >= lowest]
    return max(brought, default=None)


def toolkit(cuda: CudaVersion) -> Toolkit | None:
    """The release of a CUDA version; of an update that is not in the table, the last before it.

    **Example:** ``toolkit(CudaVersion.parse("12.2.2")).driver`` is 535.104.05.
    """
    releases = [row for row in TOOLKITS if row.cuda.release == cuda.release]
    if not releases:
        return None
    known = [row for row in releases if row.cuda <= cuda]
    return known[-1] if known else releases[0]


def minimum_driver(cuda: CudaVersion) -> DriverVersion | None:
    """The lowest driver that runs a CUDA natively; None when the table has no such CUDA yet.

    A version of which no toolkit came out (12.7) needs what the next one needs.
    """
    row = toolkit(cuda)
    if row is None:
        later = [each for each in TOOLKITS if each.cuda > cuda and each.cuda.major == cuda.major]
        row = later[0] if later else None
    return row.driver if row else None


def support_ended(branch: int, on: date) -> bool | None:
    """Whether NVIDIA's support of a branch was over on that day; None when its end is not known.

    A branch older than all of the table ended before them.
    """
    if branch in BRANCH_END:
        return on > BRANCH_END[branch]
    return True if branch in BRANCHES_ENDED or branch < min(BRANCH_END) else None
