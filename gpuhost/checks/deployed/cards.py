"""The cards of running containers: a container can lose them while it runs."""

from __future__ import annotations

import re

from gpuhost.checks.deployed import deployed_check
from gpuhost.checks.deployed.deployed_app import DeployedApp
from gpuhost.checks.finding import Verdict, fail, later, ok, unknown
from gpuhost.domain.toolkit.cuda_causes import NO_CGROUPS
from gpuhost.plans.reload import takes_cards
from gpuhost.runner.contract import CARDS_HELD, CARDS_LOST, CARDS_UNKNOWN

EXPECTED = "each container can use its cards"
NONE = "none of its running containers has a card"
# What the driver's libraries of another version say.
OTHER_DRIVER = "mismatch"
# What a cgroup that does not allow the devices gives.
REFUSED = re.compile("Unknown Error|not permitted")


@deployed_check("cards", "Its running containers can still use the cards that they were given.")
def cards(app: DeployedApp) -> Verdict:
    using = [container for container, _ in app.running if container.uses_card]
    if not using:
        return ok(NONE)
    if not app.snapshot.nvidia.works:
        return later("the driver does not work: see nvidia.driver")
    answers = app.snapshot.cards_inside.by_id
    asked = [(c.name, *answers.get(c.id, (CARDS_UNKNOWN, "not asked"))) for c in using]
    lost = [name for name, state, _ in asked if state == CARDS_LOST]
    silent = [f"{name}: {words}" for name, state, words in asked if state == CARDS_UNKNOWN]
    if lost:
        texts = tuple(dict.fromkeys(words for _, state, words in asked if state == CARDS_LOST))
        cause, fix = _cause(app, texts)
        actual = f"{', '.join(lost)} cannot use its cards any more: {cause}"
        return fail(EXPECTED, actual, evidence="; ".join(texts), fix=fix)
    if silent:
        return unknown("; ".join(silent))
    held = [name for name, state, _ in asked if state == CARDS_HELD]
    # A runtime "nvidia" by default is no card yet.
    return ok(f"{len(held)} containers can", expected=EXPECTED) if held else ok(NONE)


def _cause(app: DeployedApp, texts: tuple[str, ...]) -> tuple[str, str]:
    """The cause and the fix. A cause is named only where its conditions hold."""
    again = f"a release recreates them: {app.release_command}"
    if any(OTHER_DRIVER in text for text in texts):
        return "the driver was changed after they started", again
    is_refused = any(map(REFUSED.search, texts))
    if is_refused and app.snapshot.toolkit.config.no_cgroups:
        return NO_CGROUPS.cause, NO_CGROUPS.fix
    if is_refused and takes_cards(app.snapshot):
        return "systemd has reloaded its units since they started: see toolkit.reload", again
    return "what they were given at their start is gone", again
