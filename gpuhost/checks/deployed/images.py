"""The images of a release, by id: those that run, and those that its tags keep for rollbacks."""

from __future__ import annotations

from collections.abc import Iterator

from gpuhost.checks.deployed import deployed_check
from gpuhost.checks.deployed.deployed_app import DeployedApp
from gpuhost.checks.finding import Verdict, fail, ok, skip

SHORT = len("sha256:") + 12


@deployed_check("images", "Its containers run the verified images, and its tags point to them.")
def images(app: DeployedApp) -> Verdict:
    verified = app.details.images
    if not verified:
        return skip("its release has no record of images")
    wrong = list(dict.fromkeys((*_tags(app), *_containers(app))))
    if not wrong:
        return ok(f"{len(set(verified.values()))} images as verified")
    return fail("the verified images", "; ".join(wrong), fix=app.release_command)


def _tags(app: DeployedApp) -> Iterator[str]:
    details, tags = app.details, app.snapshot.containers.tags
    for service, tag in details.tags.items():
        id = details.images.get(service)
        if tag not in tags:
            yield f"{tag} does not exist"
        elif id and tags[tag] != id:
            yield f"{tag} points to {tags[tag][:SHORT]}, not {id[:SHORT]}"


def _containers(app: DeployedApp) -> Iterator[str]:
    verified = app.details.images
    for container in app.containers:
        id = verified.get(container.service)
        if container.running and id and container.image != id:
            yield f"{container.name} runs {container.image[:SHORT]}, not {id[:SHORT]}"
