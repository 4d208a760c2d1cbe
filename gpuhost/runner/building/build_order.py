"""In which order images are built: one that another Dockerfile is FROM comes before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from gpuhost.runner.building import dockerfile
from gpuhost.runner.docker.services import Service, canonical
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.state.release import Release

# What decides an image; Compose's other keys of `build` are about how it is made.
DECIDES = ("target", "context", "dockerfile", "dockerfile_inline", "args")
SERVICE_CONTEXT = "service:"
IMAGE_CONTEXT = "docker-image://"


@dataclass(frozen=True)
class Base:
    """Where an image that no service carries is made from."""

    context: Path
    dockerfile: Path


@dataclass(frozen=True)
class Step:
    """One image to build.

    + name: the service, or a base's tag
    + image: in full
    + needs: images that its Dockerfile is FROM, or copies from
    + base: None: `docker compose build` makes it
    """

    name: str
    image: str
    needs: tuple[str, ...]
    base: Base | None = None


def steps(release: Release, services: Mapping[str, Service]) -> tuple[Step, ...]:
    """What this release builds, in order.

    What its services run, and what is needed for that: images of services that are left out here,
    and those of build.bases, where a Dockerfile names them. build.order of the plan goes before
    what the Dockerfiles say.

    Raises Failure for a circle, for two services that build different things under one name, and
    for a Dockerfile that is not there.
    """
    possible = _possible(release, services)
    images = [service.image for service in services.values() if service.is_run]
    needed = _closure(images, possible)
    _refuse_different_builds(services.values(), needed)
    return _sorted(release, services, {image: possible[image] for image in needed})


def _possible(release: Release, services: Mapping[str, Service]) -> dict[str, Step]:
    """Every image that can be made here, by name: what is run first, a service before a base."""
    build = release.plan.build
    made: dict[str, Step] = {}
    # A service that is named in the order stands for the image that it shares with others.
    by_choice = sorted(
        services.values(), key=lambda one: (not one.is_run, one.name not in build.order)
    )
    for service in by_choice:
        if service.build is not None and service.image not in made:
            needs = tuple(_needs_of(release, service, services))
            made[service.image] = Step(service.name, service.image, needs)
    for tag, (context, file) in build.bases.items():
        base = _base(release, context, file)
        if canonical(tag) not in made:
            needs = tuple(map(canonical, _images_of(base.dockerfile, build.args)))
            made[canonical(tag)] = Step(tag, canonical(tag), needs, base)
    return made


def _base(release: Release, context: str, file: str) -> Base:
    root = release.source if release.plan.source else release.app.shared
    return Base(root / context, root / context / file)


def _images_of(path: Path, arguments: Mapping[str, str], target: str = "") -> tuple[str, ...]:
    # BuildKit takes a lower-case one as well.
    found = next((p for p in (path, path.with_name(path.name.lower())) if p.is_file()), None)
    if found is None:
        # It may not be needed at all; if it is, the build says that it is not there.
        return ()
    text = found.read_text(encoding="utf-8", errors="replace")
    return dockerfile.read(text, arguments).images(target)


def _needs_of(release: Release, service: Service, services: Mapping[str, Service]) -> Iterable[str]:
    build = service.build or {}
    contexts = build.get("additional_contexts") or {}
    given = {k: str(v) for k, v in (build.get("args") or {}).items() if v is not None}
    arguments = {**given, **release.plan.build.args}
    target = build.get("target") or ""
    if inline := build.get("dockerfile_inline"):
        images = dockerfile.read(inline, arguments).images(target)
    elif str(build.get("context", "")).startswith("/"):
        file = Path(build["context"]) / build.get("dockerfile", "Dockerfile")
        images = _images_of(file, arguments, target)
    else:
        # A context that BuildKit fetches by itself.
        images = ()
    for image in images:
        named = contexts.get(image)
        if named is None:
            yield canonical(image)
        elif named.startswith(SERVICE_CONTEXT):
            other = services.get(named.removeprefix(SERVICE_CONTEXT))
            yield from () if other is None else (other.image,)
        elif named.startswith(IMAGE_CONTEXT):
            yield canonical(named.removeprefix(IMAGE_CONTEXT))


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
        sharing = [one for one in built if one.image == image]
        for first, other in pairwise(sharing):
            if key := _difference(first, other):
                raise Failure(
                    f"services {first.name} and {other.name} build different things into one "
                    f"image, {image}: {key} is {_shown(first, key)} and {_shown(other, key)}; "
                    "whichever is built last would run in both",
                    fix=f"give each an image of its own, or both the same build.{key}",
                )


def _difference(first: Service, second: Service) -> str | None:
    one, two = _decisive(first), _decisive(second)
    return next((key for key in DECIDES if one[key] != two[key]), None)


def _decisive(service: Service) -> dict[str, Any]:
    build = service.build or {}
    return {key: build.get(key) or None for key in DECIDES}


def _shown(service: Service, key: str) -> str:
    return str(_decisive(service)[key] or "not given")


def _sorted(
    release: Release, services: Mapping[str, Service], needed: Mapping[str, Step]
) -> tuple[Step, ...]:
    given = [services[name].image for name in release.plan.build.order if name in services]
    unknown = [name for name in release.plan.build.order if name not in services]
    if unknown:
        release.log.write(f"build.order: not in this release: {', '.join(unknown)}")
    order = _Order(needed)
    for image in given:
        if image in needed:
            order.place(image, only_bases=True)
    # Bases first, so that they are there however the services refer to them.
    for image in sorted(needed, key=lambda one: needed[one].base is None):
        order.place(image)
    return tuple(order.placed.values())


class _Order:
    """Steps, each after those that it needs."""

    def __init__(self, needed: Mapping[str, Step]) -> None:
        self.needed = needed
        self.placed: dict[str, Step] = {}

    def place(self, image: str, path: tuple[str, ...] = (), *, only_bases: bool = False) -> None:
        """Put what it needs, and then itself.

        + only_bases: its place among the services was given
        """
        if image in path:
            circle = [self.needed[one].name for one in (*path[path.index(image) :], image)]
            raise Failure(
                f"images are FROM each other in a circle: {' FROM '.join(circle)}",
                fix="one of these Dockerfiles has to begin from something else; build.order names "
                "the order if the circle is not real",
            )
        if image in self.placed:
            return
        for need in self.needed[image].needs:
            step = self.needed.get(need)
            # An image FROM the one whose name it takes (postgres FROM postgres) is no circle.
            if step and need != image and not (only_bases and step.base is None):
                self.place(need, (*path, image))
        self.placed[image] = self.needed[image]
