"""Images: pulled, tagged for the release, and compared with the driver that they require."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from gpuhost.runner.contract import Facts, Gate, environment_gate
from gpuhost.runner.docker.compose import environment, words
from gpuhost.runner.docker.services import Service
from gpuhost.runner.failures.causes import cause
from gpuhost.runner.lib.commands import run, try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import NOWHERE
from gpuhost.runner.plan import Gpu
from gpuhost.runner.state.release import Release

QUICK = 60
OURS = "gpuhost"
MILLISECOND = 1_000_000
ID_CHARACTERS = 12
# pull_policy values with which a tag is pulled again.
FOLLOWING = re.compile(r"always|daily|weekly|every_.+")


@dataclass(frozen=True)
class ImageCheck:
    """HEALTHCHECK of an image; times in nanoseconds, 0: not set."""

    test: tuple[str, ...]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@dataclass(frozen=True)
class Image:
    """An image on this host: its id, sha256:…, its environment, NAME=value, and health check."""

    id: str
    environment: tuple[str, ...]
    check: ImageCheck | None = None


def find(name: str) -> Image | None:
    """None if the image is not on this host."""
    outcome = try_run(NOWHERE, "docker", "image", "inspect", name, seconds=QUICK, quiet=True)
    if not outcome.ok:
        return None
    described = json.loads(outcome.out)[0]
    config = described.get("Config") or {}
    return Image(described["Id"], tuple(config.get("Env") or ()), _check(config))


def _check(config: dict[str, Any]) -> ImageCheck | None:
    declared = config.get("Healthcheck") or {}
    test = tuple(declared.get("Test") or ())
    if not test or test[0] == "NONE":
        return None
    keys = ("Interval", "Timeout", "StartPeriod", "StartInterval", "Retries")
    return ImageCheck(test, *(int(declared.get(key) or 0) for key in keys))


def pull(release: Release, services: Iterable[Service], built: Collection[str]) -> None:
    """Pull the images that are not on this host.

    An existing tag is pulled again only if the service's pull_policy is always, daily or similar.

    + built: images that are built here, full names

    Raises Failure with the registry's message.
    """
    done: set[str] = set()
    for service in services:
        if service.build is not None or service.image in (*built, *done):
            continue
        done.add(service.image)
        image = find(service.image)
        if image and not FOLLOWING.fullmatch(service.pull_policy):
            release.log.write(f"{service.image} is already on this host: {image.id}")
        elif service.pull_policy != "never":
            _pull(release, service)


def _pull(release: Release, service: Service) -> None:
    release.log.write(f"pulling {service.image}")
    command = words(release, "--progress=plain", "pull", service.name, pinned=False)
    limit = release.plan.build.step_limit_s
    outcome = try_run(release.log, *command, seconds=limit, env=environment(release))
    if not outcome.ok:
        said, fix = cause(outcome.tail, outcome.status)
        raise Failure(f"pulling {service.image}: {said}", output=outcome.tail, fix=fix)


def keep(release: Release, services: Iterable[Service]) -> dict[str, Image]:
    """Record every service's image, and tag it by its id, so that it is kept for a rollback.

    Raises Failure for a missing image.
    """
    by_name: dict[str, Image] = {}
    images: dict[str, Image] = {}
    for service in services:
        images[service.name] = by_name.get(service.image) or _require(service)
        by_name[service.image] = images[service.name]
    tags = {}
    for name, image in images.items():
        tags[name] = tag(release.plan.app, name, image.id)
        words = ("docker", "image", "tag", image.id, tags[name])
        run(release.log, *words, seconds=QUICK, what=f"docker image tag of {name}")
        release.log.write(f"{name}: {image.id}")
    release.remember(images={name: image.id for name, image in images.items()}, tags=tags)
    return images


def _require(service: Service) -> Image:
    image = find(service.image)
    if image is None:
        raise Failure(
            f"image {service.image} of service {service.name} is not on this host",
            fix="load it (`docker load`), or declare a build or another pull_policy in the service",
        )
    return image


def tag(app: str, service: str, image_id: str) -> str:
    """The local tag of a service's image, the same for the same image."""
    return f"{repository(app, service)}:{image_id.removeprefix('sha256:')[:ID_CHARACTERS]}"


def repository(app: str, service: str) -> str:
    """A service name may contain characters that a repository name may not."""
    return f"{OURS}/{app}/{re.sub(r'[^a-z0-9]+', '-', service.lower()).strip('-')}"


def require_cuda(release: Release, services: Iterable[Service], images: dict[str, Image]) -> None:
    """Check the driver against NVIDIA_REQUIRE_* of each image that uses a GPU.

    Newer engines use CDI, which does not check this. Raises Failure with both versions.
    """
    by_service = {gpu.service: gpu for gpu in release.plan.gpu}
    for service in services:
        if gpu := by_service.get(service.name):
            _require_cuda(release, service, images[service.name], gpu)


def _require_cuda(release: Release, service: Service, image: Image, gpu: Gpu) -> None:
    # A known driver without CUDA is older than any requirement.
    cuda = gpu.cuda or ("0" if gpu.driver else None)
    facts = Facts(gpu.driver or None, cuda, gpu.brand or None, gpu.compute_capability or None)
    # The environment of the service overrides that of its image.
    own = (f"{name}={value}" for name, value in service.environment.items())
    result = environment_gate((*image.environment, *own), facts)
    release.log.write(f"{service.name} on driver {gpu.driver}: {result.reason}")
    if result.gate is Gate.REFUSES:
        raise Failure(
            f"the image {service.image} of {service.name} needs more than this host has: "
            f"{result.reason}",
            fix="install a newer driver (nvidia_branch), or use an image of an older CUDA; set "
            "NVIDIA_DISABLE_REQUIRE=1 in the service's environment only if the image supports "
            "minor-version compatibility",
        )
