"""The toolkit's own configuration, as far as it decides whether containers get GPUs."""

from __future__ import annotations

import re
from dataclasses import dataclass

CONFIG = "/etc/nvidia-container-runtime/config.toml"
CLI, RUNTIME = "nvidia-container-cli", "nvidia-container-runtime"
NO_CGROUPS = f"{CLI}.no-cgroups"
MODE = f"{RUNTIME}.mode"
BY_ENVIRONMENT = "accept-nvidia-visible-devices-envvar-when-unprivileged"
# Values of `mode`: nvidia-container-toolkit, internal/info.
MODES = ("auto", "legacy", "cdi", "jit-cdi", "csv")
SECTION = re.compile(r"\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?")
# A value that goes on in the next line, an array, is none that is asked for here.
ASSIGNMENT = re.compile(r"""([\w.\-"' ]+?)\s*=\s*("[^"]*"|'[^']*'|[^\s#]+)\s*(?:#.*)?""", re.ASCII)
INLINE = re.compile(r"""([\w\-"']+)\s*=\s*\{(.*)\}\s*(?:#.*)?""", re.ASCII)


@dataclass(frozen=True)
class ToolkitConfig:
    """The values that the file sets; the toolkit's defaults hold for the others.

    + no_cgroups: the hook does not let containers use the device nodes
    + mode: "auto", "legacy", "cdi", "jit-cdi", "csv"
    + by_environment: containers may name their cards in NVIDIA_VISIBLE_DEVICES, as `--gpus` does
    + disable_require: images' requirements of CUDA and driver are not checked
    + swarm_resource: the variable by which Swarm names cards; "": not set
    + lines: all that it says, without comments
    """

    no_cgroups: bool = False
    mode: str = "auto"
    by_environment: bool = True
    disable_require: bool = False
    swarm_resource: str = ""
    lines: tuple[str, ...] = ()


def parse_config(text: str | None) -> ToolkitConfig:
    """The file, or the defaults if there is none. Python 3.10 has no reader of TOML."""
    values = _values(text or "")
    return ToolkitConfig(
        no_cgroups=values.get(NO_CGROUPS) == "true",
        mode=values.get(MODE) or "auto",
        by_environment=values.get(BY_ENVIRONMENT) != "false",
        disable_require=values.get("disable-require") == "true",
        swarm_resource=values.get("swarm-resource", ""),
        lines=tuple(
            line for line in map(str.strip, (text or "").splitlines()) if line[:1] not in "#"
        ),
    )


def _values(text: str) -> dict[str, str]:
    """By dotted name."""
    values: dict[str, str] = {}
    section = ""
    for line in map(str.strip, text.lstrip("\ufeff").splitlines()):
        if match := SECTION.fullmatch(line):
            section = _name(match[1])
        elif match := INLINE.fullmatch(line):
            for part in match[2].split(","):
                _assign(values, f"{section}.{_name(match[1])}".lstrip("."), part.strip())
        else:
            _assign(values, section, line)
    return values


def _assign(values: dict[str, str], section: str, text: str) -> None:
    if match := ASSIGNMENT.fullmatch(text):
        values[f"{section}.{_name(match[1])}".lstrip(".")] = match[2].strip("\"'")


def _name(text: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in text.split("."))
