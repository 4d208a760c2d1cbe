"""NVIDIA's container toolkit repository: stand-ins that find the lab's simulated card."""

from __future__ import annotations

from pathlib import Path

from tests.lab.packages.deb import Content, Package
from tests.lab.packages.scripts import maintainer_scripts

FILES = Path(__file__).with_name("toolkit-files")
VERSIONS = ("1.17.8", "1.20.0")
# From this release on, nvidia-cdi-refresh keeps the CDI specification current.
REFRESHING = ("1.20.0",)
REFRESH_UNITS = "nvidia-cdi-refresh.path nvidia-cdi-refresh.service"


def packages() -> list[Package]:
    """The four packages, in every version."""
    return [package for version in VERSIONS for package in _of(version)]


def _of(version: str) -> list[Package]:
    revision = f"{version}-1"
    library = f"usr/share/doc/libnvidia-container1/{version}"
    refresh = version in REFRESHING
    units = ("nvidia-cdi-refresh.service", "nvidia-cdi-refresh.path") if refresh else ()
    base = {
        "/usr/bin/nvidia-ctk": _program("nvidia-ctk", version),
        "/usr/bin/nvidia-container-runtime": _program("nvidia-container-runtime", version),
        "/usr/share/nvidia-container-toolkit/card.py": Content(FILES / "card.py"),
        "/etc/nvidia-container-runtime/config.toml": Content(
            b'disable-require = false\n\n[nvidia-container-runtime]\nmode = "auto"\n'
        ),
        **{f"/lib/systemd/system/{unit}": Content(FILES / unit) for unit in units},
    }
    return [
        Package("libnvidia-container1", revision, files={f"/{library}": Content(b"stand-in\n")}),
        Package(
            "libnvidia-container-tools",
            revision,
            fields={"Depends": f"libnvidia-container1 (>= {revision}), python3"},
            files={"/usr/bin/nvidia-container-cli": _program("nvidia-container-cli", version)},
        ),
        Package(
            "nvidia-container-toolkit-base",
            revision,
            fields={
                "Depends": "python3",
                "Conflicts": "nvidia-container-runtime (<= 3.5.0-1)",
            },
            files=base,
            scripts=maintainer_scripts(REFRESH_UNITS) if refresh else {},
        ),
        Package(
            "nvidia-container-toolkit",
            revision,
            fields={
                "Depends": f"nvidia-container-toolkit-base (= {revision}), "
                f"libnvidia-container-tools (>= {revision})"
            },
            files={
                "/usr/bin/nvidia-container-runtime-hook": _program(
                    "nvidia-container-runtime-hook", version
                )
            },
            links={"/usr/bin/nvidia-container-toolkit": "nvidia-container-runtime-hook"},
        ),
    ]


def _program(name: str, version: str) -> Content:
    text = (FILES / name).read_text().replace("@VERSION@", version)
    return Content(text.encode(), 0o755)
