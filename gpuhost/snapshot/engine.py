"""The running container engine, as `docker info` describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpuhost.domain import host_json
from gpuhost.snapshot.probes import Probes
from gpuhost.snapshot.request import ProbeCommand, Request

# A request to Docker's socket would start a stopped engine.
ENGINE_RUNS = "engine_runs"
NOT_RUNNING = "docker.service is not running"
REQUEST = Request(
    probes=(ProbeCommand("docker_info", "docker info --format '{{json .}}'", only_if=ENGINE_RUNS),)
)


@dataclass(frozen=True)
class Engine:
    """A running engine (`docker info`).

    + driver: of its storage: "overlay2", "overlayfs" with containerd's image store
    + isolation: what it applies to every container, "name=userns"
    + forwards: the kernel forwards IPv4, for its containers
    + d_type: the disk stores the type of each name, which layers need
    + plugin_paths: the files of the client's plugins; plugin_errors: why one cannot be used
    """

    version: str
    root: str
    driver: str
    logging_driver: str
    registry_mirrors: tuple[str, ...]
    runtimes: tuple[str, ...]
    live_restore: bool
    address_pools: tuple[str, ...]
    cgroup_version: str
    cgroup_driver: str
    warnings: tuple[str, ...]
    swarm: bool
    plugins: dict[str, str]
    isolation: tuple[str, ...]
    forwards: bool
    d_type: bool
    plugin_paths: dict[str, str]
    plugin_errors: dict[str, str]


def read_engine(probes: Probes) -> tuple[Engine | None, str]:
    """The engine, or None and the reason."""
    if "docker_info" not in probes:
        return None, NOT_RUNNING
    probe = probes.get("docker_info")
    if probe.rc != 0:
        return None, probe.complaint
    try:
        info = host_json.parse(probe.out)
        # The client's 20.10 to 28.0.1 end with status 0 here, and say why in the JSON.
        errors = info.get("ServerErrors") or ()
        if errors or not info.get("ServerVersion"):
            return None, str(next(iter(errors), "docker info names no engine"))
        return _from_info(info), ""
    except (ValueError, TypeError, AttributeError):
        return None, "docker info did not print JSON"


def _from_info(info: dict[str, Any]) -> Engine:
    pools = info.get("DefaultAddressPools") or []
    plugins = (info.get("ClientInfo") or {}).get("Plugins") or []
    return Engine(
        version=str(info.get("ServerVersion") or ""),
        root=str(info.get("DockerRootDir") or ""),
        driver=str(info.get("Driver") or ""),
        logging_driver=str(info.get("LoggingDriver") or ""),
        registry_mirrors=tuple(
            mirror.rstrip("/") for mirror in (info.get("RegistryConfig") or {}).get("Mirrors") or ()
        ),
        runtimes=tuple(sorted(info.get("Runtimes") or {})),
        live_restore=bool(info.get("LiveRestoreEnabled")),
        address_pools=tuple(f"{pool.get('Base')}#{pool.get('Size')}" for pool in pools),
        cgroup_version=str(info.get("CgroupVersion") or ""),
        cgroup_driver=str(info.get("CgroupDriver") or ""),
        warnings=tuple(info.get("Warnings") or ()),
        swarm=(info.get("Swarm") or {}).get("LocalNodeState") == "active",
        plugins={
            str(plugin.get("Name")): str(plugin.get("Version") or "").lstrip("v")
            for plugin in plugins
        },
        isolation=tuple(map(str, info.get("SecurityOptions") or ())),
        forwards=info.get("IPv4Forwarding") is not False,
        d_type=["Supports d_type", "false"] not in (info.get("DriverStatus") or []),
        plugin_paths={str(plugin.get("Name")): str(plugin.get("Path") or "") for plugin in plugins},
        plugin_errors={
            str(plugin.get("Name")): str(plugin["Err"]) for plugin in plugins if plugin.get("Err")
        },
    )
