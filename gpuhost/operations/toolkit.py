"""Operations on the NVIDIA Container Toolkit."""

from __future__ import annotations

from pathlib import PurePosixPath

from pyinfra import host

from gpuhost.checks.finding import Status
from gpuhost.checks.registry import finding_of
from gpuhost.domain.apt.vendor_keys import TOOLKIT_KEY
from gpuhost.domain.toolkit.cdi import REFRESHED, STATIC
from gpuhost.domain.toolkit.packages import PACKAGES, RUNTIME_PACKAGE
from gpuhost.domain.toolkit.proof import OWN_IMAGE, RECORD, Circumstances
from gpuhost.operations import repository as apt_repositories
from gpuhost.operations.docker import Restart
from gpuhost.operations.docker_activation import restart_engine
from gpuhost.operations.findings import failing_ids
from gpuhost.operations.nvidia_settings import Gpu
from gpuhost.operations.reading import Commands, executing, operation, read
from gpuhost.operations.refuse import refuse
from gpuhost.operations.units import enable_now
from gpuhost.plans.apt_archives import optional_archives, put_aside
from gpuhost.plans.docker import restart_stops
from gpuhost.plans.toolkit import (
    cdi_rivals,
    circumstances,
    reason_not_needed,
    specification_path,
)
from gpuhost.plans.toolkit_packages import repository
from gpuhost.remote.apt import (
    CHANGE_HELD,
    INSTALL_SECONDS,
    LOCK_TIMEOUT_S,
    apt_install,
    apt_remove,
    apt_update,
)
from gpuhost.remote.commands import docker, run, script
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.toolkit import INSTALLED, REFRESH_UNIT, RUNTIME

# Includes the pull of an image of several gigabytes.
PROOF_SECONDS = 1900

# The checks that `packages` repairs; other operations repair the rest.
PACKAGE_CHECKS = {"toolkit.repository", "toolkit.packages", "toolkit.held"}


@operation
def packages(
    mirror: str = "nvidia",
    version: str | None = None,
    key_fingerprint: str = TOOLKIT_KEY,
    key_file: str | None = None,
    hold: bool = True,
    gpu: Gpu = "auto",
    adopt: bool = False,
    present: bool = True,
    lock_timeout_s: int = LOCK_TIMEOUT_S,
) -> Commands:
    """
    Install the NVIDIA Container Toolkit: its four packages, all at one version. Nothing is
    installed from a repository that is signed by another key than the declared one.

    + mirror: "nvidia", "ustc", or a URL in place of https://nvidia.github.io/libnvidia-container
    + version: "1.20.0"; None: the installed version, or else the newest available one
    + key_fingerprint: the only key that may sign the repository
    + key_file: that key as a file on this machine; None: the host downloads it
    + hold: hold the packages at their version
    + gpu: install it: "auto" (if there is a card), "required", or "none"
    + adopt: put another definition of the repository aside, even if it has other archives too
    + present: False: remove packages, repository, key, CDI specifications, test image and record;
      moved sources files of its repository are restored, and running containers keep running
    + lock_timeout_s: seconds to wait for another apt process

    **Example:**

    .. code:: python

        from gpuhost.operations import toolkit
        toolkit.packages(name="Container toolkit", mirror="ustc", version="1.20.0")
    """
    if not present:
        yield from _remove(read(Settings()), lock_timeout_s)
        return
    settings = Settings(
        toolkit_mirror=mirror,
        toolkit_version=version,
        toolkit_key_fingerprint=key_fingerprint,
        toolkit_key_file=key_file,
        nvidia_hold=hold,
        gpu=gpu,
        adopt=adopt,
        apt_lock_timeout_s=lock_timeout_s,
    )
    snapshot = read(settings)
    if reason := reason_not_needed(snapshot, settings):
        host.noop(f"toolkit: {reason}")
        return
    wrong = failing_ids(snapshot, settings, "toolkit")
    is_broken = "toolkit.runtime" in wrong and snapshot.paths.get(RUNTIME) is None
    if not (wrong & PACKAGE_CHECKS or is_broken):
        host.noop("the toolkit is as declared")
        return
    added = None
    if "toolkit.repository" in wrong:
        added = repository(settings, snapshot.system.architecture)
        yield from apt_repositories.add(added, snapshot, key_file, adopt=adopt)
    if "toolkit.packages" in wrong:
        yield apt_update(optional_archives(snapshot, added), lock_timeout_s=lock_timeout_s)
        yield script(
            "toolkit_packages.sh",
            lock_timeout_s,
            version or "",
            *PACKAGES,
            seconds=INSTALL_SECONDS + lock_timeout_s,
        )
    elif is_broken:
        yield apt_install(
            [f"{RUNTIME_PACKAGE}={snapshot.toolkit.packages[RUNTIME_PACKAGE]}"],
            "--reinstall",
            CHANGE_HELD,
            lock_timeout_s=lock_timeout_s,
        )
    # apt unholds a held package that it installs.
    is_installed = "toolkit.packages" in wrong or is_broken
    if "toolkit.held" in wrong or (is_installed and (hold or snapshot.toolkit.held)):
        yield run("apt-mark", "hold" if hold else "unhold", *PACKAGES)


def _remove(snapshot: Snapshot, lock_timeout_s: int) -> Commands:
    toolkit = snapshot.toolkit
    installed = sorted(toolkit.packages)
    repo = repository(Settings(), snapshot.system.architecture)
    aside = put_aside(snapshot, repo)
    if not (installed or aside or toolkit.sources or toolkit.key or toolkit.proof):
        host.noop("the toolkit is not installed")
        return
    if installed:
        yield run("apt-mark", "unhold", *installed)
        yield apt_remove(installed, lock_timeout_s=lock_timeout_s)
    image = toolkit.proof.circumstances.image if toolkit.proof else ""
    if image.startswith(f"{OWN_IMAGE}:") and snapshot.docker.engine:
        yield docker("image", "rm", "-f", image, seconds=60)
    yield from apt_repositories.delete(repo, snapshot, RECORD, REFRESHED, STATIC)


@operation
def cdi(gpu: Gpu = "auto") -> Commands:
    """
    Generate the CDI specification for the current driver and cards. Since toolkit 1.18 a systemd
    unit keeps it up to date; with an older one, or after a change of MIG instances, this operation
    does.

    + gpu: generate it: "auto" (if there is a card), "required", or "none"

    **Example:**

    .. code:: python

        from gpuhost.operations import toolkit
        toolkit.cdi(name="CDI specification")
    """
    settings = Settings(gpu=gpu)
    snapshot = read(settings)
    finding = finding_of("toolkit.cdi", snapshot, settings)
    if finding.status is not Status.FAIL:
        host.noop(f"CDI: {finding.actual}")
        return
    rivals = cdi_rivals(snapshot)
    if rivals and not snapshot.toolkit.refresh_is_off:
        refuse("toolkit", f"{finding.actual}: {finding.fix}")
        return
    if snapshot.toolkit.refresh:
        yield from enable_now(snapshot, REFRESH_UNIT, seconds=60)
    if rivals:  # The verification names them now, not the unit.
        return
    path = specification_path(snapshot.toolkit)
    yield run("mkdir", "-p", str(PurePosixPath(path).parent))
    yield run("nvidia-ctk", "cdi", "generate", f"--output={path}", seconds=120)


@operation
def proof(
    image: str | None = None,
    gpu: Gpu = "auto",
    restart: Restart = "idle",
) -> Commands:
    """
    Test that CUDA starts on the host, and that a container sees every GPU with nvidia-smi and CUDA.
    The result is recorded on the host, and the test is repeated after a change of the driver, the
    toolkit, the engine, their configuration or the image.

    + image: the image for the test; None: one that is built on the host, without a pull
    + gpu: test: "auto" (if there is a card), "required", or "none"
    + restart: restart the engine if it started before the toolkit was installed: "idle" (if no
      container would stop), "always", or "never"

    **Example:**

    .. code:: python

        from gpuhost.operations import toolkit
        toolkit.proof(name="GPU in a container")
    """
    settings = Settings(toolkit_test_image=image, gpu=gpu, docker_restart=restart)
    snapshot = read(settings)
    if reason := reason_not_needed(snapshot, settings):
        host.noop(f"toolkit: {reason}")
        return
    finding = finding_of("toolkit.proof", snapshot, settings)
    # A plan for a blank host includes the test, although the toolkit is not installed yet.
    is_blank = not executing() and not snapshot.toolkit.packages
    if finding.status is not Status.FAIL and not is_blank:
        host.noop(f"GPU in a container: {finding.actual}")
        return
    current = circumstances(snapshot, settings) or Circumstances("", "", "", "")
    # dockerd looks for the toolkit's hook only when it starts.
    if _engine_is_older(snapshot) and _may_restart(snapshot, restart):
        yield from restart_engine()
    yield script(
        "toolkit_prove.sh",
        RECORD,
        current.driver,
        current.toolkit,
        current.engine,
        current.image,
        current.config,
        current.settings,
        "no" if image else "yes",
        seconds=PROOF_SECONDS,
    )


def _engine_is_older(snapshot: Snapshot) -> bool:
    """Whether the engine started before the toolkit was installed."""
    installed, started = snapshot.paths.get(INSTALLED), snapshot.docker.service.started
    return bool(installed and started and installed.modified > started)


def _may_restart(snapshot: Snapshot, restart: str) -> bool:
    return restart == "always" or (restart == "idle" and not restart_stops(snapshot))
