"""The host that an app is to be released on: engine, room, card, and what else is wrong with it."""

from __future__ import annotations

from gpuhost.checks.finding import Finding, Status, Verdict, fail, ok, skip, warn
from gpuhost.checks.host import disk as host_disk
from gpuhost.checks.host import docker
from gpuhost.checks.preflight.registry import Proposal, app_check
from gpuhost.checks.registry import run_checks
from gpuhost.domain.nvidia.cuda import decide
from gpuhost.domain.nvidia.version import CudaVersion
from gpuhost.domain.sizes import GB, gb
from gpuhost.release.variant import NoVariant

PROVISION = "pyinfra INVENTORY deploys/gpu_host.py"
# app.engine speaks of these.
OF_THE_ENGINE = ("docker.engine", "docker.compose", "docker.buildx")
# Without these no container gets the card.
NEEDED_FOR_A_CARD = ("toolkit.packages", "toolkit.runtime", "toolkit.cdi", "toolkit.proof")


@app_check(
    "app.engine", "The engine answers, its compose is 2.24.4 or later, buildx is there to build."
)
def engine(proposal: Proposal) -> Verdict:
    snapshot, settings = proposal.snapshot, proposal.settings
    if snapshot.docker.engine is None:
        return fail("running", snapshot.docker.engine_complaint, fix=PROVISION)
    needed = [docker.compose] + ([docker.buildx] if _builds(proposal) else [])
    for plugin in needed:
        verdict = plugin.judge(snapshot, settings)
        if verdict.status is Status.FAIL:
            name = plugin.id.partition(".")[2]
            return fail(f"{name}: {verdict.expected}", verdict.actual, fix=verdict.fix)
    plugins = snapshot.docker.engine.plugins
    return ok(f"{snapshot.docker.engine.version}, compose {plugins['compose']}")


def _builds(proposal: Proposal) -> bool:
    build = proposal.app.block.build
    return bool(build.bases) or any(s.build for s in proposal.services.values())


@app_check("app.variant", "The app has a variant for this host, with a card or without.")
def variant(proposal: Proposal) -> Verdict:
    choice = proposal.choice
    if isinstance(choice, NoVariant):
        return fail(
            "a card that fits, or an app that runs without",
            choice.reason,
            fix="release it on another host, or give the app without_gpu",
        )
    return ok(choice.sentence)


# A card whose driver does not run it at all is not chosen: app.variant.
@app_check("app.cuda", "NVIDIA's images of the CUDA that services need accept the driver.")
def cuda(proposal: Proposal) -> Verdict:
    choice, block = proposal.choice, proposal.app.block
    if isinstance(choice, NoVariant):
        return skip("app.variant says why not")
    reasons = []
    for service, reserved in choice.reservations.items():
        wanted = block.gpu[service].cuda if service in block.gpu else None
        if wanted is None or reserved.card.card is None:
            continue
        decision = decide(reserved.card.driver, [reserved.card.card], CudaVersion.parse(wanted))
        reasons.append(f"{service}: {decision.reason}")
        if decision.refused:
            return warn(
                f"CUDA {wanted}, NVIDIA's images too",
                reasons[-1],
                evidence=" ".join(decision.notes),
                fix=f"set NVIDIA_DISABLE_REQUIRE=1 in with_gpu.environment.{service}, or upgrade "
                "the driver",
            )
    return ok(" ".join(reasons)) if reasons else skip("no service says which CUDA it needs")


@app_check("app.disk", "`build.disk_gb` is free where images and apps live.")
def disk(proposal: Proposal) -> Verdict:
    wanted = proposal.app.block.build.disk_gb
    if not wanted:
        return skip("the app does not say how much it needs (build.disk_gb)")
    found = host_disk.places(proposal.snapshot, proposal.settings)
    found.pop("/")
    path, least = min(found.items(), key=lambda place: place[1].free)
    expected = f"at least {wanted:g} GB free"
    if least.free >= wanted * GB:
        return ok(f"{gb(least.free)} free under {path}", expected=expected)
    return fail(
        expected,
        f"{gb(least.free)} free under {path}",
        evidence=f"{least.mounted_on}, {gb(least.size)} in all",
        fix="docker system df; docker builder prune; or lower build.disk_gb",
    )


@app_check("app.memory", "`build.memory_gb` of RAM and swap is free for the largest build.")
def memory(proposal: Proposal) -> Verdict:
    wanted = proposal.app.block.build.memory_gb
    if not wanted:
        return skip("the app does not say how much it needs (build.memory_gb)")
    now = proposal.snapshot.memory
    free = now.available + now.swap_free
    expected = f"at least {wanted:g} GB free"
    if free >= wanted * GB:
        return ok(f"{gb(free)} free", expected=expected)
    return fail(
        expected,
        f"{gb(now.available)} of RAM and {gb(now.swap_free)} of swap free",
        fix="raise swap_size_gb, stop what uses memory (docker stats), or lower build.memory_gb",
    )


@app_check("app.host", "The host's own checks of the engine, and of the toolkit for a card, pass.")
def host(proposal: Proposal) -> Verdict:
    if proposal.snapshot.docker.engine is None:
        return skip("app.engine says what is wrong")
    choice = proposal.choice
    with_card = not isinstance(choice, NoVariant) and choice.with_gpu
    nouns = ("docker", "toolkit") if with_card else ("docker",)
    findings = run_checks(proposal.snapshot, proposal.settings, nouns)
    bad = [f for f in findings if f.status is Status.FAIL and f.id not in OF_THE_ENGINE]
    hindering = [finding for finding in bad if finding.id in NEEDED_FOR_A_CARD]
    expected = f"{' and '.join(nouns)} as declared"
    if hindering:
        return fail(expected, _in_words(hindering), fix=PROVISION)
    return warn(expected, _in_words(bad), fix=PROVISION) if bad else ok(expected)


def _in_words(findings: list[Finding]) -> str:
    return "; ".join(f"{finding.id}: {finding.actual}" for finding in findings)


@app_check("app.secrets", "Every secret is there, long enough, and no example's value.")
def secrets(proposal: Proposal) -> Verdict:
    if not proposal.app.block.secrets:
        return skip("the app has none")
    if proposal.secrets:
        return fail(
            "every secret given",
            "; ".join(proposal.secrets),
            fix=f"set them where pyinfra runs; {proposal.app.path} says from where each comes",
        )
    return ok(f"{len(proposal.app.block.secrets)} secrets")
