"""gpu, with_gpu and without_gpu: services for a card, and what runs without one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gpuhost.appfile.compose.cards import FileCards
from gpuhost.appfile.compose.model import ComposeService
from gpuhost.appfile.proposing.candidates import GPU_WORDS, words_of
from gpuhost.appfile.proposing.project import Project
from gpuhost.appfile.proposing.proposal import Note, Proposal, Proposed

CPU_WORDS = frozenset(("cpu", "nogpu"))
# "nvidia/cuda:12.4.1-base", "pytorch:2.4.0-cuda12.4-cudnn9", "vllm:v0.6-cu121".
VERSIONS = (
    re.compile(r"nvidia/cuda[a-z-]*:(\d+)\.(\d+)"),
    re.compile(r"cuda[-_]?(\d+)\.(\d+)", re.IGNORECASE),
    re.compile(r"(?<![a-z])cu(1[0-9])(\d)(?!\d)", re.IGNORECASE),
)
NEEDS_CARD = re.compile(
    r"nvidia/cuda|(?<![a-z])(?:cuda|gpu|nvidia)(?![a-z])|(?<![a-z])cu1[0-9]\d(?!\d)", re.IGNORECASE
)
NOT_A_CARD = re.compile(r"(?<![a-z])(?:cpu|rocm|amd|exporter|prometheus)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class Evidence:
    """+ cuda: "12.4"; "" if no version is known"""

    cuda: str
    text: str


def cuda_version(text: str) -> str:
    """
    >>> cuda_version("nvidia/cuda:12.4.1-runtime-ubuntu22.04"), cuda_version("a:2-cu118")
    ('12.4', '11.8')
    """
    for form in VERSIONS:
        if match := form.search(text):
            return f"{match[1]}.{match[2]}"
    return ""


def evidence(project: Project, name: str) -> Evidence | None:
    """That the image of a service is made for a card."""
    service = project.compose.services[name]
    dockerfile = project.dockerfile(name)
    if dockerfile:
        # What is built later counts: the last stage on CUDA.
        for base in reversed(dockerfile.bases):
            if NEEDS_CARD.search(base.text):
                return Evidence(cuda_version(base.text), f"{base.where}: FROM {base.text}")
    image = service.image or ""
    if NEEDS_CARD.search(image) and not NOT_A_CARD.search(image):
        return Evidence(cuda_version(image), f"{project.where('services', name, 'image')}: {image}")
    return None


def is_for_card(name: str, service: ComposeService) -> bool:
    return bool(GPU_WORDS & (words_of(name) | _profile_words(service)))


def is_for_cpu(name: str, service: ComposeService) -> bool:
    return bool(CPU_WORDS & (words_of(name) | _profile_words(service)))


def _profile_words(service: ComposeService) -> frozenset[str]:
    return frozenset(word for profile in service.profiles for word in words_of(profile))


def proposals(project: Project) -> Iterator[Proposed]:
    reserves = any(service.cards for service in project.compose.services.values())
    for name, service in project.services():
        found = None if is_for_cpu(name, service) else evidence(project, name)
        if service.cards is not None:
            where = project.where("services", name)
            said = f"{name} ({where}) reserves {_shown(service.cards)}; that counts by itself"
            if found and found.cuda:
                yield Proposal(("gpu", name), {"cuda": found.cuda}, found.text)
            else:
                yield Note("gpu", said)
        elif found and not reserves:
            # A project that reserves cards does it for each service that needs one.
            value = {"cuda": found.cuda} if found.cuda else {}
            said = f"{found.text}, and no card is reserved: it gets all"
            yield Proposal(("gpu", name), value, said)


def _shown(cards: FileCards) -> str:
    if cards.device_ids:
        return f"the cards {', '.join(cards.device_ids)}"
    if cards.count is None:
        return "all cards"
    return "one card" if cards.count == 1 else f"{cards.count} cards"


def card_services(project: Project) -> list[str]:
    """Of all services, also those that a profile hides."""
    services = project.compose.services
    if reserving := [name for name, service in services.items() if service.cards is not None]:
        return reserving
    return [
        name
        for name, service in services.items()
        if not is_for_cpu(name, service) and evidence(project, name) is not None
    ]
