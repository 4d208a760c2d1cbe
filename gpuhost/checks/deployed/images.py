"""The images of a release, by id: those that run, and those that its tags keep for a rollback."""

from __future__ import annotations

from collections.abc import Iterator

from gpuhost.checks.deployed.registry import Subject, released_check
from gpuhost.checks.finding import Verdict, fail, ok, skip

SHORT = len("sha256:") + 12


@released_check(
    "images", "Its containers run the images that were verified, and its tags stand for them."
)
def images(subject: Subject) -> Verdict:
    wanted = subject.details.images
    if not wanted:
        return skip("its release has no record of images")
    wrong = list(dict.fromkeys((*_tags(subject), *_containers(subject))))
    if not wrong:
        return ok(f"{len(set(wanted.values()))} images as verified")
    return fail("the images that were verified", "; ".join(wrong), fix=subject.again)


def _tags(subject: Subject) -> Iterator[str]:
    details, there = subject.details, subject.snapshot.containers.tags
    for service, tag in details.tags.items():
        id = details.images.get(service)
        if tag not in there:
            yield f"{tag} is gone"
        elif id and there[tag] != id:
            yield f"{tag} stands for {there[tag][:SHORT]}, not {id[:SHORT]}"


def _containers(subject: Subject) -> Iterator[str]:
    wanted = subject.details.images
    for one in subject.containers:
        id = wanted.get(one.service)
        if one.running and id and one.image != id:
            yield f"{one.name} runs {one.image[:SHORT]}, not {id[:SHORT]}"
