"""The order of builds: an image is built before the images that are FROM it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from gpuhost.runner.building import dockerfile
from gpuhost.runner.building.substitution import TooLarge
from gpuhost.runner.docker.services import Service, canonical
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.file_names import shown
from gpuhost.runner.lib.source_paths import read_text
from gpuhost.runner.state.release import Release

# Keys of Compose's `build` that determine the image.
DECISIVE_KEYS = ("target", "context", "dockerfile", "dockerfile_inline", "args")
# Images that are FROM each other.
LONGEST_CHAIN = 200
SERVICE_CONTEXT = "service:"
IMAGE_CONTEXT = "docker-image://"


@dataclass(frozen=True)
class Base:
    """The build of a base image that is no service."""

    context: Path
    dockerfile: Path


@dataclass(frozen=True)
class Step:
    """An image to build.

    + name: the service, or the tag of a base
    + image: the full name
    + needs: images that its Dockerfile is FROM, or copies from
    + base: None: `docker compose build` builds it
    """

    name: str
    image: str
    needs: tuple[str, ...]
    base: Base | None = None


def steps(release: Release, services: Mapping[str, Service]) -> tuple[Step, ...]:
    """The builds of this release, in order.

    These are the images of its services, and the images that their Dockerfiles need: of services
    that are left out, and of build.bases. build.order has priority over the Dockerfiles.

    Raises Failure for a cycle, and for two services that build different images under one name.
    """
    possible = _possible(release, services)
    images = [service.image for service in services.values() if service.is_run]
    needed = _closure(images, possible)
    _refuse_different_builds(services.values(), needed)
    return _sorted(release, services, {image: possible[image] for image in needed})


def _possible(release: Release, services: Mapping[str, Service]) -> dict[str, Step]:
    """Every image that can be built here, by name. A service that runs has priority."""
    build = release.plan.build
    possible: dict[str, Step] = {}
    # If services share an image, the one in build.order builds it.
    by_priority = sorted(services.values(), key=lambda s: (not s.is_run, s.name not in build.order))
    for service in by_priority:
        if service.build is not None and service.image not in possible:
            needs = tuple(_needs_of(release, service, services))
            possible[service.image] = Step(service.name, service.image, needs)
    for tag, (context, file) in build.bases.items():
        base = _base(release, context, file)
        if canonical(tag) not in possible:
            needs = tuple(map(canonical, _images_of(release, base.dockerfile, build.args)))
            possible[canonical(tag)] = Step(tag, canonical(tag), needs, base)
    return possible


def _base(release: Release, context: str, file: str) -> Base:
    root = _root(release)
    return Base(root / context, root / context / file)


def _root(release: Release) -> Path:
    """Where build contexts are."""
    is_beside_data = release.is_old and not release.plan.source
    return release.app.shared if is_beside_data else release.source


def _images_of(
    release: Release, path: Path, arguments: Mapping[str, str], target: str = ""
) -> tuple[str, ...]:
    """Raises Failure."""
    root = _root(release)
    # The app file may name a context elsewhere on the host.
    source = root if path.is_relative_to(root) else Path("/")
    # BuildKit accepts a lower-case name too.
    for name in dict.fromkeys((path.name, path.name.lower())):
        if name and (text := read_text(source, path.with_name(name))) is not None:
            return _images_in(text, arguments, target, shown(os.path.relpath(path, source)))
    # It may not be needed; if it is, the build reports it.
    return ()


def _images_in(text: str, arguments: Mapping[str, str], target: str, where: str) -> tuple[str, ...]:
    try:
        return _read(text, tuple(sorted(arguments.items()))).images(target)
    except TooLarge as error:
        fix = "make it shorter, and the values in its ARG and FROM"
        raise Failure(f"{where} {error}", fix=fix) from None


@lru_cache(maxsize=64)
def _read(text: str, arguments: tuple[tuple[str, str], ...]) -> dockerfile.Dockerfile:
    """Many services may build one Dockerfile."""
    return dockerfile.read(text, dict(arguments))


def _needs_of(release: Release, service: Service, services: Mapping[str, Service]) -> Iterable[str]:
    build = service.build or {}
    contexts = build.get("additional_contexts") or {}
    declared = {k: str(v) for k, v in (build.get("args") or {}).items() if v is not None}
    arguments = {**declared, **release.plan.build.args}
    target = build.get("target") or ""
    if inline := build.get("dockerfile_inline"):
        where = f"build.dockerfile_inline of {service.name}"
        images = _images_in(inline, arguments, target, where)
    elif str(build.get("context", "")).startswith("/"):
        file = Path(build["context"]) / build.get("dockerfile", "Dockerfile")
        images = _images_of(release, file, arguments, target)
    else:
        # BuildKit fetches this context itself.
        images = ()
    for image in images:
        context = contexts.get(image)
        if context is None:
            yield canonical(image)
        elif context.startswith(SERVICE_CONTEXT):
            other = services.get(context.removeprefix(SERVICE_CONTEXT))
            yield from () if other is None else (other.image,)
        elif context.startswith(IMAGE_CONTEXT):
            yield canonical(context.removeprefix(IMAGE_CONTEXT))


def _closure(images: Iterable[str], possible: Mapping[str, Step]) -> list[str]:
    queue, needed = list(images), dict[str, None]()
    while queue:
        image = queue.pop(0)
        if image in possible and image not in needed:
            needed[image] = None
            queue += possible[image].needs
    return list(needed)


def _refuse_different_builds(services: Iterable[Service], needed: Iterable[str]) -> None:
    built = [service for service in services if service.build is not None and service.is_run]
    for image in needed:
        sharing = [service for service in built if service.image == image]
        for first, other in pairwise(sharing):
            if key := _difference(first, other):
                raise Failure(
                    f"services {first.name} and {other.name} build different images under "
                    f"one name, {image}: {key} is {_shown(first, key)} and {_shown(other, key)}; "
                    "the last one built would run in both",
                    fix=f"set another image for one of them, or the same build.{key} for both",
                )


def _difference(first: Service, second: Service) -> str | None:
    left, right = _decisive(first), _decisive(second)
    return next((key for key in DECISIVE_KEYS if left[key] != right[key]), None)


def _decisive(service: Service) -> dict[str, Any]:
    build = service.build or {}
    return {key: build.get(key) or None for key in DECISIVE_KEYS}


def _shown(service: Service, key: str) -> str:
    return str(_decisive(service)[key] or "not set")


def _sorted(
    release: Release, services: Mapping[str, Service], needed: Mapping[str, Step]
) -> tuple[Step, ...]:
    declared = [services[name].image for name in release.plan.build.order if name in services]
    unknown = [name for name in release.plan.build.order if name not in services]
    if unknown:
        release.log.write(f"build.order: services not in this release: {', '.join(unknown)}")
    order = _Order(needed)
    for image in declared:
        if image in needed:
            order.place(image, only_bases=True)
    # Bases first: a service may refer to one in a way that is not visible here.
    for image in sorted(needed, key=lambda image: needed[image].base is None):
        order.place(image)
    return tuple(order.placed.values())


class _Order:
    """Steps, each after those that it needs."""

    def __init__(self, needed: Mapping[str, Step]) -> None:
        self.needed = needed
        self.placed: dict[str, Step] = {}

    def place(self, image: str, path: tuple[str, ...] = (), *, only_bases: bool = False) -> None:
        """Place what the image needs, then the image.

        + only_bases: ignore needed services, whose order is declared
        """
        if image in path:
            cycle = [self.needed[name].name for name in (*path[path.index(image) :], image)]
            raise Failure(
                f"images are FROM each other in a cycle: {' FROM '.join(cycle)}",
                fix="change FROM in one of these Dockerfiles, or set build.order",
            )
        if image in self.placed:
            return
        if len(path) > LONGEST_CHAIN:
            raise Failure(
                f"more than {LONGEST_CHAIN} images are FROM each other: {self.needed[image].name}",
                fix="build some of them beforehand",
            )
        for need in self.needed[image].needs:
            step = self.needed.get(need)
            # An image FROM an image of the same name (postgres FROM postgres) is not a cycle.
            if step and need != image and not (only_bases and step.base is None):
                self.place(need, (*path, image))
        self.placed[image] = self.needed[image]
