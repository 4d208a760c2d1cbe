"""The toolkit's config.toml, and whether containers keep their GPUs."""

from __future__ import annotations

from shlex import quote

from gpuhost.checks.finding import Verdict, fail, later, ok, unknown, warn
from gpuhost.checks.host.toolkit import not_installed
from gpuhost.checks.registry import check
from gpuhost.domain.toolkit.config import BY_ENVIRONMENT, CONFIG, MODES
from gpuhost.domain.toolkit.cuda_causes import NO_CGROUPS
from gpuhost.domain.toolkit.packages import PACKAGES
from gpuhost.plans.reload import left_to_systemd
from gpuhost.plans.toolkit import gives_by_cdi, is_proven
from gpuhost.plans.toolkit_packages import release
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

# In these releases the mode that "auto" means, jit-cdi, ignored swarm-resource.
IGNORES_SWARM = "1.18."
SYSTEMD, LEGACY = "systemd", "legacy"


@check("toolkit.config", "The toolkit's config.toml lets containers use the GPUs.")
def config(snapshot: Snapshot, settings: Settings) -> Verdict:
    if verdict := not_installed(snapshot, settings):
        return verdict
    values, by_cdi = snapshot.toolkit.config, gives_by_cdi(snapshot)
    # In an unprivileged container (LXC) and for a rootless engine it works, and only so.
    if values.no_cgroups and not by_cdi and not is_proven(snapshot, settings):
        return fail("no-cgroups = false", NO_CGROUPS.cause, fix=NO_CGROUPS.fix)
    if not values.by_environment and not by_cdi:
        return fail(
            f"{BY_ENVIRONMENT} = true",
            "false: containers that are not privileged get no GPU by --gpus",
            fix=f"set it to true in {CONFIG}",
        )
    if values.mode not in MODES:
        return fail(
            f"mode: one of {', '.join(MODES)}",
            f"mode = {values.mode}: the runtime nvidia starts no container",
            fix=f'set mode = "auto" in {CONFIG}',
        )
    engine, version = snapshot.docker.engine, release(snapshot.toolkit.packages[PACKAGES[0]])
    is_ignored = version.startswith(IGNORES_SWARM) and values.mode != LEGACY
    if engine and engine.swarm and values.swarm_resource and is_ignored:
        return warn(
            "Swarm's tasks get the cards that they reserve",
            f"toolkit {version} ignores swarm-resource: each task gets every card",
            fix=f'toolkit_version="1.19.0" or later, or mode = "legacy" in {CONFIG}',
        )
    evidence = "disable-require: images' requirements are not checked"
    return ok(f"mode {values.mode}", evidence=evidence if values.disable_require else "")


@check(
    "toolkit.reload",
    "Running containers keep their GPUs when systemd reloads its units (daemon-reload).",
)
def reload(snapshot: Snapshot, settings: Settings) -> Verdict:
    if verdict := not_installed(snapshot, settings):
        return verdict
    engine, by_cdi = snapshot.docker.engine, gives_by_cdi(snapshot)
    if engine is None:
        return later("the engine does not answer")
    if by_cdi:
        return ok("the engine gives GPUs by CDI")
    if not engine.cgroup_driver:
        return unknown("docker info does not say its cgroup driver")
    if engine.cgroup_driver != SYSTEMD:
        if left := left_to_systemd(snapshot):
            return warn(
                "started with the engine's present cgroup driver",
                f"started before it was {engine.cgroup_driver}: {', '.join(left)}",
                evidence="each daemon-reload takes their GPUs",
                fix=f"docker restart {' '.join(map(quote, left))}",
            )
        return ok(f"cgroup driver {engine.cgroup_driver}")
    if by_cdi is None:
        return later("how the engine gives GPUs is not known: see toolkit.proof")
    # With the hook, systemd does not know of the devices: NVIDIA's troubleshooting of the toolkit.
    return warn(
        "GPUs given by CDI, or a cgroup driver that systemd does not manage",
        "the engine's hook gives them, and systemd manages the cgroups: each daemon-reload takes "
        "the GPUs from the containers that --gpus or a reservation of Compose gave them",
        evidence=f"engine {engine.version}, cgroup driver {engine.cgroup_driver}",
        fix='set docker_cgroup_driver="cgroupfs", run the deploy again, and restart containers; '
        "or use an engine of 29.2 or later, whose --gpus uses CDI; or give a service its GPUs by "
        'CDI (devices: ["nvidia.com/gpu=all"]). App checks find a lost GPU, and a release repairs '
        "it",
    )
