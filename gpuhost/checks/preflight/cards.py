"""The cards of a release: usable, and with enough memory for all that runs on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gpuhost.checks.finding import Verdict, fail, ok, skip, warn
from gpuhost.checks.preflight import app_check
from gpuhost.checks.preflight.proposal import Proposal
from gpuhost.plans.nvidia_health import CardFault, unusable_cards
from gpuhost.release.cards import cards_of
from gpuhost.release.variant import NoVariant
from gpuhost.release.vram import all_places, demands, demands_of_others, overcommitted
from gpuhost.snapshot import NotRead

NO_CARD = "no service gets a card"


@app_check("app.cards", "No card that the app gets must be reset or replaced.")
def cards(proposal: Proposal) -> Verdict:
    choice, snapshot = proposal.choice, proposal.snapshot
    if isinstance(choice, NoVariant):
        return skip("see app.variant")
    if not choice.reservations:
        return skip(NO_CARD)
    gpus = {
        gpu.slot: service
        for service, reserved in choice.reservations.items()
        for gpu in cards_of(reserved.count, reserved.device_ids, snapshot)
    }
    expected = f"{len(gpus)} usable card(s)"
    try:
        unusable = unusable_cards(snapshot)
    except NotRead as reason:
        return warn(
            expected,
            f"their state is not known: {reason}",
            fix="gpuhost check INVENTORY --only nvidia",
        )
    bad = [(unusable[place], service) for place, service in gpus.items() if place in unusable]
    if not bad:
        others = [f"not given: {one.card}, {one.fault.what}" for one in unusable.values()]
        return ok(expected, evidence="\n".join(others))
    fixes = (*(one.remedy for one, _ in bad), *_others(proposal, unusable))
    return fail(
        expected,
        "; ".join(f"{one.card}, which {service} gets: {one.fault.what}" for one, service in bad),
        evidence="\n".join(one.fault.evidence for one, _ in bad),
        fix=". ".join(dict.fromkeys(fixes)),
    )


def _others(proposal: Proposal, unusable: Mapping[str, CardFault]) -> Iterator[str]:
    """What else helps, if the host has other cards; a count gets them where they are enough."""
    usable = [gpu for gpu in proposal.snapshot.nvidia.answering if gpu.slot not in unusable]
    if usable:
        numbers = ", ".join(f'"{gpu.index}"' for gpu in usable)
        yield f"Until then, name the others: x-gpuhost.gpu.SERVICE.device_ids: [{numbers}]"


@app_check("app.vram", "The cards have the memory that all apps on them declare (`vram_gb`).")
def vram(proposal: Proposal) -> Verdict:
    choice, snapshot = proposal.choice, proposal.snapshot
    if isinstance(choice, NoVariant):
        return skip("see app.variant")
    wanted = demands(proposal.app, choice, snapshot)
    if not wanted:
        return skip("no service declares vram_gb" if choice.reservations else NO_CARD)
    used = {place for demand in wanted for place in demand.places}
    others = [
        demand
        for demand in demands_of_others(snapshot, proposal.app.name)
        if used.intersection(demand.places)
    ]
    places = tuple(place for place in all_places(snapshot) if place.uuid in used)
    expected = "the declared memory on every card"
    if problems := list(overcommitted(places, (*wanted, *others))):
        return fail(
            expected,
            "; ".join(problems),
            fix="give a service another card (x-gpuhost.gpu.SERVICE.device_ids), remove an app "
            "from this host, or lower vram_gb where it is too high",
        )
    return ok(", ".join(map(str, (*wanted, *others))), expected=expected)
