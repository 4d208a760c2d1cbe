"""The stage `build`: every image of the release is here, one build at a time, and kept.

No parallel limit of Compose reaches BuildKit, so each image is a command of its own.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from typing import Any

from gpuhost.runner.building import capacity, registry_login
from gpuhost.runner.building.build_order import Base, Step, steps
from gpuhost.runner.building.build_output import failed_step
from gpuhost.runner.building.memory_peak import MemoryPeak
from gpuhost.runner.docker import images
from gpuhost.runner.docker.compose import environment, words
from gpuhost.runner.docker.services import read
from gpuhost.runner.failures import oom
from gpuhost.runner.failures.causes import cause
from gpuhost.runner.lib.commands import Outcome, try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import write_json
from gpuhost.runner.site import nginx_trial
from gpuhost.runner.state.release import Release

# What is printed when the kernel ended something of a step, or the engine itself.
OF_MEMORY = re.compile(
    r"exit code: 137|[Kk]illed|[Cc]annot allocate memory|bad_alloc|MemoryError|"
    r"error reading from server|\bEOF\b|[Cc]annot connect to the Docker daemon"
)


def build(release: Release) -> None:
    """Log in, pull, build in order, record.

    Images of services are made by Compose under the names that the user's file gives them. Raises
    Failure in the words of the tool that failed.
    """
    registry_login.log_in(release)
    services = read(release)
    running = [service for service in services.values() if service.is_run]
    todo = steps(release, services)
    images.pull(release, running, made={step.image for step in todo})
    if todo:
        release.log.write(f"builds: {', '.join(step.name for step in todo)}")
        capacity.check(release)
    for step in todo:
        _build(release, step)
    kept = images.keep(release, running)
    images.require_cuda(release, running, kept)
    nginx_trial.judge_in_container(release)


def _build(release: Release, step: Step) -> None:
    if step.base is not None:
        _build_base(release, step, step.base)
        return
    no_cache = ("--no-cache",) if release.plan.build.no_cache else ()
    what = ("--progress=plain", "build", *no_cache, *_arguments(release), step.name)
    _run(release, step.name, words(release, *what, pinned=False))


def _build_base(release: Release, step: Step, base: Base) -> None:
    """Built where it is missing, and again if what it was built from here is not the same now.

    An image that was loaded, pulled or built by a person is theirs: it stays. BuildKit's cache
    decides whether anything changes, so that images FROM it are made anew only if it did.
    """
    made_from = _made_from(release, base)
    here, ours = images.find(step.name), _bases(release).get(step.name, {})
    is_ours = here is not None and ours.get("id") == here.id
    if here is not None and not is_ours:
        release.log.write(f"base {step.name} is here, not built by gpuhost: kept ({here.id})")
        return
    if is_ours and ours.get("from") == made_from and not release.plan.build.no_cache:
        release.log.write(f"base {step.name} is here, built from the same")
        return
    no_cache = ("--no-cache",) if release.plan.build.no_cache else ()
    where = ("--tag", step.name, "--file", str(base.dockerfile), str(base.context))
    command = ("docker", "build", "--progress=plain", *no_cache, *_arguments(release), *where)
    _run(release, step.name, command)
    made = images.find(step.name)
    if made is not None:
        entry = {"id": made.id, "from": made_from}
        write_json(release.app.bases, {**_bases(release), step.name: entry})


def _made_from(release: Release, base: Base) -> str:
    """A hash of the revision, where in it, and the arguments."""
    plan = release.plan
    revision = plan.source.revision if plan.source else plan.revision
    root = release.source if plan.source else release.app.shared
    # Without the release's own directory, which is another in every release.
    where = [str(path).removeprefix(str(root)) for path in (base.context, base.dockerfile)]
    decisive = [revision, *where, sorted(plan.build.args.items())]
    return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()


def _bases(release: Release) -> dict[str, dict[str, Any]]:
    try:
        value = json.loads(release.app.bases.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _arguments(release: Release) -> tuple[str, ...]:
    given = release.plan.build.args
    return tuple(
        word for name in sorted(given) for word in ("--build-arg", f"{name}={given[name]}")
    )


def _run(release: Release, name: str, command: tuple[str, ...]) -> None:
    log, limit = release.log, release.plan.build.step_limit_s
    log.write(f"building {name}")
    began, before = time.monotonic(), oom.current_moment()
    with MemoryPeak() as peak:
        outcome = try_run(
            log, *command, seconds=limit, env={**environment(release), "DOCKER_BUILDKIT": "1"}
        )
    took = time.monotonic() - began
    release.remember(build_memory={**release.record.build_memory, name: peak.host})
    log.write(f"{name}: {took:.0f} s; most memory: {peak}")
    if not outcome.ok:
        raise _failure(release, name, outcome, before)


def _failure(release: Release, name: str, outcome: Outcome, before: oom.Moment) -> Failure:
    """What the failing step printed, and why, by the kernel's word where it is about memory."""
    step = failed_step(release.log.masked(outcome.out))
    where = f"{name}, step {step.title}" if step.title else name
    if outcome.status is None:
        limit = release.plan.build.step_limit_s
        return Failure(
            f"building {name} did not end within {limit} s",
            output=step.lines,
            fix="the log shows the step that it was at; build.step_limit_s in the app file",
        )
    said, fix = cause(step.lines, step.status or 1)
    if any(OF_MEMORY.search(line) for line in step.lines) and (killed := oom.killed_since(before)):
        said, fix = killed
    elif "disk is full" in said:
        said = ": ".join(filter(None, ("the disk is full", capacity.full_directory())))
    return Failure(f"building {where}: {said}", output=step.lines, fix=fix)
