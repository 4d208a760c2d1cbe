"""The images of a release, by id: those that run, and those that its tags keep for a rollback."""

from __future__ import annotations

from collections.abc import Iterator

from gpuhost.checks.deployed import deployed_check
from gpuhost.checks.deployed.deployed_app import DeployedApp
from gpuhost.checks.finding import Verdict, fail, ok, skip

SHORT = len("sha256:") + 12


@deployed_check(
    "images", "Its containers run the images that were verified, and its tags stand for them."
)
def images(app: DeployedApp) -> Verdict:
    wanted = app.details.images
    if not wanted:
        return skip("its release has no record of images")
    wrong = list(dict.fromkeys((*_tags(app), *_containers(app))))
    if not wrong:
        return ok(f"{len(set(wanted.values()))} images as verified")
    return fail("the images that were verified", "; ".join(wrong), fix=app.again)


def _tags(app: DeployedApp) -> Iterator[str]:
    details, there = app.details, app.snapshot.containers.tags
    for service, tag in details.tags.items():
        id = details.images.get(service)
        if tag not in there:
            yield f"{tag} is gone"
        elif id and there[tag] != id:
            yield f"{tag} stands for {there[tag][:SHORT]}, not {id[:SHORT]}"


def _containers(app: DeployedApp) -> Iterator[str]:
    wanted = app.details.images
    for one in app.containers:
        id = wanted.get(one.service)
        if one.running and id and one.image != id:
            yield f"{one.name} runs {one.image[:SHORT]}, not {id[:SHORT]}"
