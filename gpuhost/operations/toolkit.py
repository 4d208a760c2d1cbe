"""The write side of the NVIDIA Container Toolkit."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Literal

from pyinfra import host

from gpuhost.checks.finding import Status
from gpuhost.checks.registry import failing, finding_of
from gpuhost.domain.apt.repository import put_aside
from gpuhost.domain.toolkit.cdi import REFRESHED, STATIC
from gpuhost.domain.toolkit.packages import PACKAGES, RUNTIME_PACKAGE
from gpuhost.domain.toolkit.proof import OWN_IMAGE, RECORD, Circumstances
from gpuhost.operations import repository as apt_repositories
from gpuhost.operations.reading import Commands, executing, operation, read
from gpuhost.plans.docker import restart_stops
from gpuhost.plans.toolkit import circumstances, reason_not_needed
from gpuhost.plans.toolkit_packages import OLDER_LISTS, repository
from gpuhost.remote.commands import apt_install, apt_remove, apt_update, remove, run, script
from gpuhost.settings import TOOLKIT_KEY_FINGERPRINT, Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.toolkit import INSTALLED, KEY, REFRESH_UNIT, RUNTIME, SOURCES

INSTALL_SECONDS = 1800
# Pulling a declared image of some gigabytes is part of it.
PROOF_SECONDS = 1900

# By `packages`, and what is missing of them; the rest has operations of its own.
MENDED = {"toolkit.repository", "toolkit.packages", "toolkit.held"}

Gpu = Literal["auto", "required", "none"]


@operation
def packages(
    mirror: str = "nvidia",
    version: str | None = None,
    key_fingerprint: str = TOOLKIT_KEY_FINGERPRINT,
    key_file: str | None = None,
    hold: bool = True,
    gpu: Gpu = "auto",
    apt_lock_timeout_s: int = 300,
) -> Commands:
    """
    Have the NVIDIA Container Toolkit, its four packages at one version. Nothing is installed from a
    repository whose key is not the declared one.

    + mirror: "nvidia", "ustc", or a URL that stands for https://nvidia.github.io/libnvidia-container
    + version: such as "1.20.0"; None: the newest that is offered, unless there is one already
    + key_fingerprint: the only key that may sign the repository
    + key_file: that key as a file on this machine; None: the host fetches it
    + hold: keep the packages at their version
    + gpu: install it where there is a card, always, never
    + apt_lock_timeout_s: how long to wait for another apt, in seconds

    **Example:**

    .. code:: python

        from gpuhost.operations import toolkit
        toolkit.packages(name="Container toolkit", mirror="ustc", version="1.20.0")
    """
    settings = Settings(
        toolkit_mirror=mirror,
        toolkit_version=version,
        toolkit_key_fingerprint=key_fingerprint,
        toolkit_key_file=key_file,
        nvidia_hold=hold,
        gpu=gpu,
        apt_lock_timeout_s=apt_lock_timeout_s,
    )
    snapshot = read(settings)
    if reason := reason_not_needed(snapshot, settings):
        host.noop(f"toolkit: {reason}")
        return
    wrong = _wrong(snapshot, settings)
    broken = "toolkit.runtime" in wrong and snapshot.paths.get(RUNTIME) is None
    if not (wrong & MENDED or broken):
        host.noop("the toolkit is as declared")
        return
    if "toolkit.repository" in wrong:
        repo = repository(settings, snapshot.system.architecture)
        clashes = [path for path in repo.clashes if snapshot.paths.get(path)]
        yield from apt_repositories.add(repo, key_file, clashes)
    if "toolkit.packages" in wrong:
        yield apt_update(lock_timeout=apt_lock_timeout_s)
        yield script(
            "toolkit_packages.sh",
            apt_lock_timeout_s,
            version or "",
            *PACKAGES,
            seconds=INSTALL_SECONDS + apt_lock_timeout_s,
        )
    elif broken:
        whole = f"{RUNTIME_PACKAGE}={snapshot.toolkit.packages[RUNTIME_PACKAGE]}"
        yield apt_install(
            [whole],
            "--reinstall",
            "--allow-change-held-packages",
            lock_timeout=apt_lock_timeout_s,
        )
    # To install a held package takes its hold away.
    installed = "toolkit.packages" in wrong or broken
    if "toolkit.held" in wrong or (installed and (hold or snapshot.toolkit.held)):
        yield run("apt-mark", "hold" if hold else "unhold", *PACKAGES)


def _wrong(snapshot: Snapshot, settings: Settings) -> set[str]:
    return {finding.id for finding in failing(snapshot, settings, "toolkit")}


@operation
def cdi(gpu: Gpu = "auto") -> Commands:
    """
    Have a CDI specification of the driver and the cards as they are. Since toolkit 1.18 a unit of
    its own keeps it fresh; before, and after a change of MIG instances, this operation does.

    + gpu: have it where there is a card, always, never

    **Example:**

    .. code:: python

        from gpuhost.operations import toolkit
        toolkit.cdi(name="CDI specification")
    """
    settings = Settings(gpu=gpu)
    snapshot = read(settings)
    found = finding_of("toolkit.cdi", snapshot, settings)
    if found.status is not Status.FAIL:
        host.noop(f"CDI: {found.actual}")
        return
    if snapshot.toolkit.refresh:
        yield run("systemctl", "enable", "--now", REFRESH_UNIT, seconds=60)
    path = snapshot.toolkit.specification_path
    yield run("mkdir", "-p", str(PurePosixPath(path).parent))
    yield run("nvidia-ctk", "cdi", "generate", f"--output={path}", seconds=120)


@operation
def proof(
    image: str | None = None,
    gpu: Gpu = "auto",
    restart: Literal["idle", "always", "never"] = "idle",
) -> Commands:
    """
    Show that a container gets every GPU, by nvidia-smi in one, and keep the result on the host. It
    is tried again when the driver, the toolkit, the engine or the image has changed.

    + image: to run it in; None: one that is made on the host, where nothing has to be pulled
    + gpu: try it where there is a card, always, never
    + restart: whether the engine may restart if it started before the toolkit was installed: "idle"
      when no container would stop, "always", or "never"

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
    found = finding_of("toolkit.proof", snapshot, settings)
    # In a dry run on a blank host there is nothing to prove with yet.
    blank = not executing() and not snapshot.toolkit.packages
    if found.status is not Status.FAIL and not blank:
        host.noop(f"GPU in a container: {found.actual}")
        return
    today = circumstances(snapshot, settings) or Circumstances("", "", "", "")
    yield script(
        "toolkit_prove.sh",
        RECORD,
        today.driver,
        today.toolkit,
        today.engine,
        today.image,
        "no" if image else "yes",
        "yes" if _engine_is_older(snapshot) and _may_restart(snapshot, restart) else "no",
        seconds=PROOF_SECONDS,
    )


def _engine_is_older(snapshot: Snapshot) -> bool:
    """Whether the engine has run since before the toolkit was installed."""
    installed, started = snapshot.paths.get(INSTALLED), snapshot.docker.service.started
    return bool(installed and started and installed.modified > started)


def _may_restart(snapshot: Snapshot, restart: str) -> bool:
    return restart == "always" or (restart == "idle" and not restart_stops(snapshot))


@operation
def absent(apt_lock_timeout_s: int = 300) -> Commands:
    """
    Take the toolkit away again: packages, repository, key, CDI specifications, test image, record.
    Lists of its repository that were moved aside come back. Containers that run go on.

    + apt_lock_timeout_s: how long to wait for another apt, in seconds

    **Example:**

    .. code:: python

        from gpuhost.operations import toolkit
        toolkit.absent(name="No container toolkit")
    """
    snapshot = read(Settings(apt_lock_timeout_s=apt_lock_timeout_s))
    installed = sorted(snapshot.toolkit.packages)
    aside = [path for path in OLDER_LISTS if snapshot.paths.get(put_aside(path))]
    if not (
        installed
        or aside
        or snapshot.toolkit.sources
        or snapshot.toolkit.key
        or snapshot.toolkit.proof
    ):
        host.noop("the toolkit is not there")
        return
    if installed:
        yield run("apt-mark", "unhold", *installed)
        yield apt_remove(installed, lock_timeout=apt_lock_timeout_s)
    image = snapshot.toolkit.proof.circumstances.image if snapshot.toolkit.proof else ""
    if image.startswith(f"{OWN_IMAGE}:") and snapshot.docker.engine:
        yield run("docker", "image", "rm", "-f", image, seconds=60)
    yield remove(SOURCES, KEY, RECORD, REFRESHED, STATIC)
    for path in aside:
        yield run("mv", "-f", put_aside(path), path)
