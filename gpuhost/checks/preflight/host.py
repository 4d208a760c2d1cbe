"""The host of a release: its engine, free space, cards, and other faults."""

from __future__ import annotations

from gpuhost.checks.finding import Finding, Status, Verdict, fail, ok, skip, warn
from gpuhost.checks.preflight import app_check
from gpuhost.checks.preflight.proposal import Proposal
from gpuhost.checks.registry import finding_of, run_checks
from gpuhost.domain.nvidia.cuda import decide
from gpuhost.domain.nvidia.version import CudaVersion
from gpuhost.domain.sizes import GB, format_size
from gpuhost.plans.disk import disks_by_directory
from gpuhost.release.variant import NoVariant

PROVISION = "pyinfra INVENTORY deploys/gpu_host.py"
# app.engine reports these.
OF_THE_ENGINE = ("docker.engine", "docker.compose", "docker.buildx")
# Without these no container can use the card.
NEEDED_FOR_A_CARD = (
    *(f"toolkit.{part}" for part in ("packages", "runtime", "cdi", "config", "proof")),
    "nvidia.mig",
)


@app_check(
    "app.engine",
    "The engine answers, its compose is 2.24.4 or later, and buildx is installed to build.",
)
def engine(proposal: Proposal) -> Verdict:
    snapshot, settings = proposal.snapshot, proposal.settings
    if snapshot.docker.engine is None:
        return fail("running", snapshot.docker.engine_complaint, fix=PROVISION)
    for plugin in ("compose", "buildx") if _builds(proposal) else ("compose",):
        finding = finding_of(f"docker.{plugin}", snapshot, settings)
        if finding.status is Status.FAIL:
            return fail(f"{plugin}: {finding.expected}", finding.actual, fix=finding.fix)
    plugins = snapshot.docker.engine.plugins
    return ok(f"{snapshot.docker.engine.version}, compose {plugins['compose']}")


def _builds(proposal: Proposal) -> bool:
    build = proposal.app.block.build
    return bool(build.bases) or any(s.build for s in proposal.services.values())


@app_check("app.variant", "The app has a variant for this host, with or without a card.")
def variant(proposal: Proposal) -> Verdict:
    choice = proposal.choice
    if isinstance(choice, NoVariant):
        return fail(
            "a suitable card, or an app that runs without",
            choice.reason,
            fix="release it on another host, or add without_gpu to the app",
        )
    return ok(choice.sentence)


# app.variant does not choose a card whose driver cannot run it.
@app_check("app.cuda", "NVIDIA's images for the CUDA version of each service accept the driver.")
def cuda(proposal: Proposal) -> Verdict:
    choice, block = proposal.choice, proposal.app.block
    if isinstance(choice, NoVariant):
        return skip("see app.variant")
    reasons = []
    for service, reserved in choice.reservations.items():
        needed = block.gpu[service].cuda if service in block.gpu else None
        if needed is None or reserved.card.card is None:
            continue
        decision = decide(reserved.card.driver, [reserved.card.card], CudaVersion.parse(needed))
        reasons.append(f"{service}: {decision.reason}")
        if decision.refused:
            return warn(
                f"CUDA {needed}, NVIDIA's images too",
                reasons[-1],
                evidence=" ".join(decision.notes),
                fix=f"set NVIDIA_DISABLE_REQUIRE=1 in with_gpu.environment.{service}, or upgrade "
                "the driver",
            )
    return ok(" ".join(reasons)) if reasons else skip("no service declares a CUDA version")


@app_check("app.disk", "`build.disk_gb` is free where images and apps are stored.")
def disk(proposal: Proposal) -> Verdict:
    choice = proposal.choice
    if isinstance(choice, NoVariant):
        return skip("see app.variant")
    needed = choice.disk_gb
    if not needed:
        return skip("build.disk_gb is not set")
    disks = disks_by_directory(proposal.snapshot, proposal.settings)
    disks.pop("/")
    path, least = min(disks.items(), key=lambda item: item[1].free)
    expected = f"at least {needed:g} GB free"
    if least.free >= needed * GB:
        return ok(f"{format_size(least.free)} free under {path}", expected=expected)
    return fail(
        expected,
        f"{format_size(least.free)} free under {path}",
        evidence=f"{least.mounted_on}, {format_size(least.size)} in all",
        fix="docker system df; docker builder prune; or lower disk_gb in the app file",
    )


@app_check("app.memory", "`build.memory_gb` of RAM and swap is free for the largest build.")
def memory(proposal: Proposal) -> Verdict:
    needed = proposal.app.block.build.memory_gb
    if not needed:
        return skip("build.memory_gb is not set")
    ram = proposal.snapshot.memory
    free = ram.available + ram.swap_free
    expected = f"at least {needed:g} GB free"
    if free >= needed * GB:
        return ok(f"{format_size(free)} free", expected=expected)
    return fail(
        expected,
        f"{format_size(ram.available)} of RAM and {format_size(ram.swap_free)} of swap free",
        fix="raise swap_size_gb, stop what uses memory (docker stats), or lower build.memory_gb",
    )


@app_check("app.host", "The host's checks of the engine pass, and of the toolkit for a card.")
def host(proposal: Proposal) -> Verdict:
    if proposal.snapshot.docker.engine is None:
        return skip("see app.engine")
    choice = proposal.choice
    with_card = not isinstance(choice, NoVariant) and choice.with_gpu
    nouns = ("docker", "toolkit") if with_card else ("docker",)
    findings = run_checks(proposal.snapshot, proposal.settings, nouns)
    if with_card:
        findings.append(finding_of("nvidia.mig", proposal.snapshot, proposal.settings))
    failing = [f for f in findings if f.status is Status.FAIL and f.id not in OF_THE_ENGINE]
    blocking = [finding for finding in failing if finding.id in NEEDED_FOR_A_CARD]
    expected = f"{' and '.join(nouns)} as declared"
    if blocking:
        return fail(expected, _in_words(blocking), fix=PROVISION)
    return warn(expected, _in_words(failing), fix=PROVISION) if failing else ok(expected)


def _in_words(findings: list[Finding]) -> str:
    return "; ".join(f"{finding.id}: {finding.actual}" for finding in findings)


@app_check("app.secrets", "Every secret is set, long enough, and not an example value.")
def secrets(proposal: Proposal) -> Verdict:
    if not proposal.app.block.secrets:
        return skip("the app has none")
    if proposal.secrets:
        return fail(
            "every secret set",
            "\n".join(proposal.secrets),
            fix=f"set them where pyinfra runs; {proposal.app.path} names the source of each",
        )
    return ok(f"{len(proposal.app.block.secrets)} secrets")
