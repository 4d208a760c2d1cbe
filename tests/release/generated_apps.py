"""Generated Compose files, with hostile values, each with an x-gpuhost block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from gpuhost.appfile.app import App
from gpuhost.appfile.loading import load

HOSTILE = (
    "",
    "no",
    "22:22",
    "!override",
    "!reset null",
    "$HOME",
    "${X:-y}",
    "$",
    "{{ x }}{% y %}",
    'it\'s "quoted" \\ `x`',
    "a: b # c",
    "- x\n- y",
    "\r\n\t\x7f\x85\u2028\ufeff",
    "语 😀 é",
    "*alias",
    "&anchor",
    "<<",
    "0x1F",
    "1e3",
    "~",
)
TEXTS = st.sampled_from(HOSTILE) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30
)
# As written in a file, where $ starts a variable.
WRITTEN = TEXTS.map(lambda text: text.replace("$", "$$"))
NAMES = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,12}", fullmatch=True)
VARIABLES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True)
# Ports inside and outside of a container.
PORT = st.integers(1, 65535)
ADDRESSES = ("", "127.0.0.1:", "0.0.0.0:", "192.0.2.1:", "[::1]:", "[::]:", "${BIND:-0.0.0.0}:")
PROTOCOL = st.sampled_from(("", "/tcp", "/udp"))


@st.composite
def ports(draw: st.DrawFn) -> Any:
    inside, outside = draw(PORT), draw(PORT)
    kind = draw(st.sampled_from(("number", "short", "variable", "range", "long")))
    if kind == "number":
        return inside
    if kind == "long":
        return {
            "target": inside,
            **draw(st.sampled_from(({}, {"published": outside}, {"published": str(outside)}))),
            **draw(st.sampled_from(({}, {"host_ip": "0.0.0.0"}, {"protocol": "udp"}))),
        }
    address, protocol = draw(st.sampled_from(ADDRESSES)), draw(PROTOCOL)
    if kind == "range":
        first, last = min(inside, 65530), min(inside, 65530) + draw(st.integers(1, 3))
        return f"{address}{first}-{last}:{first}-{last}{protocol}"
    if kind == "variable":
        return f"{address}${{PORT_{outside}:-{outside}}}:{inside}{protocol}"
    return f"{address}{outside}:{inside}{protocol}"


CARDS = {"deploy": {"resources": {"reservations": {"devices": [{"capabilities": ["gpu"]}]}}}}
MEMORY = (
    {},
    {"mem_limit": "512m"},
    {"mem_limit": 536870912, "memswap_limit": "1g"},
    {"deploy": {"resources": {"limits": {"memory": "512M", "cpus": "0.5"}}}},
)
EXTRAS = st.fixed_dictionaries(
    {},
    optional={
        "container_name": st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9._-]{1,12}", fullmatch=True),
        "restart": st.sampled_from(("no", "always", "on-failure:3")),
        "logging": st.just({"driver": "local"}),
        "cpus": st.sampled_from((1, 0.5, "2")),
        "shm_size": st.sampled_from(("64m", 1024)),
        "runtime": st.just("nvidia"),
        "devices": st.just(["/dev/fuse", "nvidia.com/gpu=all", "/dev/nvidia0:/dev/nvidia0"]),
        "profiles": st.just(["some"]),
        "environment": st.just(["PLAIN=1"]) | st.just({"PLAIN": "1"}),
    },
)


@st.composite
def services(draw: st.DrawFn) -> dict[str, Any]:
    service: dict[str, Any] = draw(EXTRAS)
    if draw(st.booleans()):
        service["build"] = draw(
            st.sampled_from((".", "./a b", {"context": "api", "dockerfile": "D"}, {"target": "x"}))
        )
    else:
        service["image"] = "image:tag"
    if draw(st.booleans()):
        service["ports"] = draw(st.lists(ports(), max_size=4))
    limits = draw(st.sampled_from(MEMORY))
    if "deploy" in limits:
        # Compose refuses two different limits.
        service.pop("cpus", None)
    service |= limits if "deploy" in limits or draw(st.booleans()) else CARDS
    return service


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Values of an app file that Compose accepts."""
    made = draw(st.dictionaries(NAMES, services(), min_size=1, max_size=4))
    names = sorted(made)
    variant = {
        "environment": draw(
            st.dictionaries(
                st.sampled_from(names), st.dictionaries(VARIABLES, WRITTEN, max_size=4), max_size=2
            )
        )
    }
    some = st.lists(st.sampled_from(names), unique=True, max_size=2)
    gpu = {name: draw(st.sampled_from(({}, {"count": 1}))) for name in draw(some)}
    return {
        "x-gpuhost": {
            "source": {"directory": "."},
            **({"gpu": gpu, "with_gpu": variant} if gpu else {}),
            "without_gpu": variant,
            "resources": {
                name: {"memory_gb": 1.5, "cpus": 0.25, "shm_gb": 0.5} for name in draw(some)
            },
            "scale": {name: 2 for name in draw(some) if "ports" not in made[name]},
        },
        "services": made,
    }


class _Quoting(yaml.SafeDumper):
    """Quotes every text: PyYAML knows YAML 1.1 and leaves 1e3 bare, which is a number in 1.2."""


def _in_quotes(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_Quoting.add_representer(str, _in_quotes)


def text_of(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Quoting, allow_unicode=True, sort_keys=False, width=10_000)


def app_of(document: dict[str, Any], directory: Path) -> App:
    path = directory / "made.yaml"
    path.write_text(text_of(document), encoding="utf-8")
    return load(path)
