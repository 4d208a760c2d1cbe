"""Images: had from registries, kept under tags of the release, asked for the driver they need."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

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
ID_CHARACTERS = 12
# pull_policy of services whose tag is followed where it moves; Compose has every_12h and the like.
FOLLOWING = re.compile(r"always|daily|weekly|every_.+")


@dataclass(frozen=True)
class Image:
    """An image that the engine has: its id, sha256:…, and its environment, NAME=value."""

    id: str
    environment: tuple[str, ...]


def find(name: str) -> Image | None:
    """None if the engine does not have it."""
    outcome = try_run(NOWHERE, "docker", "image", "inspect", name, seconds=QUICK, quiet=True)
    if not outcome.ok:
        return None
    described = json.loads(outcome.out)[0]
    config = described.get("Config") or {}
    return Image(described["Id"], tuple(config.get("Env") or ()))


def pull(release: Release, services: Iterable[Service], made: Collection[str]) -> None:
    """Have the images that come from registries; one that is here stays as it is.

    A tag that moved is not followed, unless the service's pull_policy says so; a release is rare
    enough to ask for what is due daily or weekly.

    + made: images that are built here, in full

    Raises Failure with the registry's own words.
    """
    asked: set[str] = set()
    for service in services:
        if service.build is not None or service.image in (*made, *asked):
            continue
        asked.add(service.image)
        here = find(service.image)
        if here and not FOLLOWING.fullmatch(service.pull_policy):
            release.log.write(f"{service.image} is already on this host: {here.id}")
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
    """Record every service's image, and tag it by its id, so that a rollback finds it.

    Raises Failure for an image that is not here.
    """
    by_name: dict[str, Image] = {}
    images: dict[str, Image] = {}
    for service in services:
        images[service.name] = by_name.get(service.image) or _have(service)
        by_name[service.image] = images[service.name]
    tags = {}
    for name, image in images.items():
        tags[name] = tag(release.plan.app, name, image.id)
        words = ("docker", "image", "tag", image.id, tags[name])
        run(release.log, *words, seconds=QUICK, what=f"docker image tag of {name}")
        release.log.write(f"{name}: {image.id}")
    release.remember(images={name: image.id for name, image in images.items()}, tags=tags)
    return images


def _have(service: Service) -> Image:
    image = find(service.image)
    if image is None:
        raise Failure(
            f"image {service.image} of service {service.name} is not on this host",
            fix="load it (`docker load`), or give the service a build or another pull_policy",
        )
    return image


def tag(app: str, service: str, image_id: str) -> str:
    """The local tag of a service's image; the same image has the same tag."""
    return f"{repository(app, service)}:{image_id.removeprefix('sha256:')[:ID_CHARACTERS]}"


def repository(app: str, service: str) -> str:
    """Services may have capitals and any of ._- anywhere, repositories may not."""
    return f"{OURS}/{app}/{re.sub(r'[^a-z0-9]+', '-', service.lower()).strip('-')}"


def require_cuda(release: Release, services: Iterable[Service], images: dict[str, Image]) -> None:
    """The driver has what each image that gets a card asks for in its NVIDIA_REQUIRE_*.

    CDI, by which newer engines hand out cards, does not ask.

    Raises Failure with both versions.
    """
    by_service = {gpu.service: gpu for gpu in release.plan.gpu}
    for service in services:
        if gpu := by_service.get(service.name):
            _require_cuda(release, service, images[service.name], gpu)


def _require_cuda(release: Release, service: Service, image: Image, gpu: Gpu) -> None:
    # A driver that is known and brings no CUDA is older than all that images ask for.
    cuda = gpu.cuda or ("0" if gpu.driver else None)
    facts = Facts(gpu.driver or None, cuda, gpu.brand or None, gpu.compute_capability or None)
    # What the service itself sets counts over what its image says.
    own = (f"{name}={value}" for name, value in service.environment.items())
    result = environment_gate((*image.environment, *own), facts)
    release.log.write(f"{service.name} on driver {gpu.driver}: {result.reason}")
    if result.gate is Gate.REFUSES:
        raise Failure(
            f"the image {service.image} of {service.name} asks for more than this host has: "
            f"{result.reason}",
            fix="a newer driver (nvidia_branch), an image of an older CUDA, or "
            "NVIDIA_DISABLE_REQUIRE=1 in the service's environment where minor-version "
            "compatibility is known to hold",
        )
