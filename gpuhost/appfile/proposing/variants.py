"""with_gpu and without_gpu: profiles and services for hosts with a card and without one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gpuhost.appfile.proposing.candidates import GPU_WORDS, words_of
from gpuhost.appfile.proposing.cards import CPU_WORDS, card_services, is_for_card, is_for_cpu
from gpuhost.appfile.proposing.project import Project, started
from gpuhost.appfile.proposing.proposal import Note, Proposal, Proposed


@dataclass(frozen=True)
class Variants:
    """The profile for hosts with a card, and the one for hosts without; "" for none.

    + others: profiles for cards that were not taken
    """

    card: str = ""
    cpu: str = ""
    others: tuple[str, ...] = ()

    @property
    def profiles(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.card, self.cpu)))


def variants(project: Project) -> Variants:
    """Only profiles that are named for it, and only if a service that needs a card has it."""
    for_card: dict[str, None] = {}
    for_cpu: dict[str, None] = {}
    hidden = set(project.compose.services) - started(project, ())
    needing = set(card_services(project))
    for name in project.compose.services:
        for profile in project.compose.services[name].profiles if name in hidden else ():
            words = words_of(profile)
            if name in needing and words & GPU_WORDS:
                for_card[profile] = None
            elif name not in needing and words & CPU_WORDS:
                for_cpu[profile] = None
    card, *others = sorted(for_card, key=_plainness) or ("",)
    cpu = next((one for one in for_cpu if _stem(one) == _stem(card)), next(iter(for_cpu), ""))
    return Variants(card, cpu if card else "", tuple(others))


def _plainness(profile: str) -> tuple[int, str]:
    """ "gpu" before "gpu-nvidia", and both before "tei-gpu"."""
    return len(words_of(profile) - GPU_WORDS), profile


def _stem(profile: str) -> frozenset[str]:
    return words_of(profile) - GPU_WORDS - CPU_WORDS - {"only"}


def active(project: Project) -> frozenset[str]:
    """The services that run, on any host; all of them, if a profile hides each."""
    running = started(project, variants(project).profiles)
    return running or frozenset(project.compose.services)


def proposals(project: Project) -> Iterator[Proposed]:
    found = variants(project)
    if not started(project, found.profiles):
        yield from _no_service_runs(project)
    else:
        yield from _hidden(project, found)
    services = project.compose.services
    needing = card_services(project)
    if found.card:
        name = next(one for one in needing if found.card in services[one].profiles)
        value = {"profiles": (found.card,)}
        yield Proposal(("with_gpu",), value, project.where("services", name, "profiles"))
        for other in found.others:
            yield Note("with_gpu", f"or the profile {other}")
    if found.cpu:
        name = next(one for one in services if found.cpu in services[one].profiles)
        value = {"profiles": (found.cpu,)}
        yield Proposal(("without_gpu",), value, project.where("services", name, "profiles"))
    elif needing:
        yield from _by_name(project, needing)


def _by_name(project: Project, needing: list[str]) -> Iterator[Proposed]:
    """Suggestions: only the names of the services say it."""
    running = project.active
    for_card = [
        name
        for name in needing
        if name in running and is_for_card(name, project.compose.services[name])
    ]
    for_cpu = [name for name, service in project.services() if is_for_cpu(name, service)]
    if for_card and for_cpu:
        said = "a guess from the names of the services"
        yield Proposal(("with_gpu",), {"leave_out": tuple(for_cpu)}, said, suggested=True)
        yield Proposal(("without_gpu",), {"leave_out": tuple(for_card)}, said, suggested=True)
    elif any(name in running for name in needing):
        said = "if the app works without a card too; else a host without one is refused"
        yield Proposal(("without_gpu",), {}, said, suggested=True)


def _hidden(project: Project, found: Variants) -> Iterator[Proposed]:
    """Profiles that nothing enables."""
    always = project.dotenv.get("COMPOSE_PROFILES")
    if found.card and isinstance(always, str) and CPU_WORDS & words_of(always):
        said = ".env enables a profile for the CPU on every host (COMPOSE_PROFILES): set it here"
        yield Note("variables", said, todo=True)
    hidden = set(project.compose.services) - project.active
    profiles = sorted(
        {one for name in hidden for one in project.compose.services[name].profiles}
        - {*found.profiles, *found.others}
    )
    if profiles:
        said = "another profile of the project; one in this list is always active"
        yield Proposal(("profiles",), tuple(profiles), said, suggested=True)


def _no_service_runs(project: Project) -> Iterator[Proposed]:
    profiles = sorted(profile for profile in project.compose.profiles if profile)
    said = f"every service has a profile: name those that you want, of {', '.join(profiles)}"
    yield Note("profiles", said, todo=True)
    for profile in profiles[:1]:
        yield Proposal(("profiles",), (profile,), "", suggested=True)
