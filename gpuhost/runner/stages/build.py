"""The stage `build`: pulls and builds all images of the release, and tags them.

Each image is a command of its own: Compose cannot limit how many builds BuildKit runs at a time.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

from gpuhost.runner.building import capacity, registry_login
from gpuhost.runner.building.build_model import add_arguments, add_bases, take_secrets
from gpuhost.runner.building.build_order import Base, Step, steps
from gpuhost.runner.building.build_output import BuildOutput
from gpuhost.runner.building.memory_peak import MemoryPeak
from gpuhost.runner.data import secrets
from gpuhost.runner.docker import images
from gpuhost.runner.docker.compose import config, environment, words, write_model
from gpuhost.runner.docker.services import read
from gpuhost.runner.failures import oom
from gpuhost.runner.lib.commands import Outcome, try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import read_state_json, write_json
from gpuhost.runner.plan import Source
from gpuhost.runner.resolved.build_paths import refuse_build_paths
from gpuhost.runner.site import nginx_trial
from gpuhost.runner.state.release import Release

# Texts that may mean that the kernel killed a process of a step, or the engine.
OUT_OF_MEMORY = re.compile(
    r"exit code: 137|[Kk]illed|[Cc]annot allocate memory|bad_alloc|MemoryError|"
    r"error reading from server|\bEOF\b|[Cc]annot connect to the Docker daemon"
)


def build(release: Release) -> None:
    """Log in, pull, build in order, record. Raises Failure.

    Compose builds the images of services under the names in the user's file.
    """
    registry_login.log_in(release)
    services = read(release)
    if not release.is_old:
        # Containers of an attempt before this one may have changed the source.
        refuse_build_paths(release, config(release))
    running = [service for service in services.values() if service.is_run]
    todo = steps(release, services)
    images.pull(release, running, built={step.image for step in todo})
    if todo:
        release.log.write(f"builds: {', '.join(step.name for step in todo)}")
        capacity.check(release)
        builds = _Builds.write(release, todo)
        for step in todo:
            _build(release, step, builds)
    kept = images.keep(release, running)
    images.require_cuda(release, running, kept)
    nginx_trial.try_in_container(release)


@dataclass(frozen=True)
class _Builds:
    """What Compose builds.

    + services: step to service
    + variables: secrets that builds read as files
    """

    services: Mapping[str, str]
    variables: Mapping[str, str]

    @classmethod
    def write(cls, release: Release, todo: Sequence[Step]) -> _Builds:
        """Write build.json."""
        plan, model = release.plan, deepcopy(config(release))
        services = add_bases(model, todo)
        add_arguments(model, plan.build.args)
        declared = tuple(secret for secret in plan.secrets if secret.path)
        values = secrets.values(release) if declared else {}
        variables = take_secrets(model, declared, str(release.app.shared), values)
        write_model(release.paths.builds, model)
        return cls(services, variables)


def _build(release: Release, step: Step, builds: _Builds) -> None:
    if step.base is None:
        _run(release, step, builds)
    else:
        _build_base(release, step, step.base, builds)


def _build_base(release: Release, step: Step, base: Base, builds: _Builds) -> None:
    """Build a base image that is missing, or whose inputs have changed.

    An image that a person loaded, pulled or built is kept. BuildKit's cache decides whether the
    image changes, so images FROM it are rebuilt only if it does.
    """
    inputs = _inputs(release, base)
    image, known = images.find(step.name), _known(release, step)
    is_ours = image is not None and known.get("id") == image.id
    if image is not None and not is_ours:
        release.log.write(f"base {step.name}: kept, gpuhost did not build it ({image.id})")
        return
    if is_ours and known.get("from") == inputs and not release.plan.build.no_cache:
        release.log.write(f"base {step.name}: already built from the same inputs")
        return
    _run(release, step, builds)
    image = images.find(step.name)
    if image is not None:
        entry = {"id": image.id, "from": inputs}
        write_json(release.app.bases, {**read_state_json(release.app.bases), step.name: entry})


def _known(release: Release, step: Step) -> dict[str, object]:
    known = read_state_json(release.app.bases).get(step.name)
    return known if isinstance(known, dict) else {}


def _inputs(release: Release, base: Base) -> str:
    """A hash of the source, the paths and the arguments."""
    plan = release.plan
    revision = plan.source.revision if plan.source else plan.revision
    root = release.app.shared if release.is_old and not plan.source else release.source
    # Relative to the release, whose directory has another name each time.
    paths = [str(path).removeprefix(str(root)) for path in (base.context, base.dockerfile)]
    inputs = [revision, *paths, sorted(plan.build.args.items()), *_patches(plan.source)]
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()


def _patches(source: Source | None) -> tuple[object, ...]:
    """Empty without an overlay and edits, so that no base is built again for a new gpuhost."""
    if source is None or not (source.overlay or source.edits):
        return ()
    edits = [(edit.file, edit.find, edit.replace) for edit in source.edits]
    return source.overlay, edits


def _run(release: Release, step: Step, builds: _Builds) -> None:
    log, plan, name = release.log, release.plan.build, step.name
    log.write(f"building {name}")
    began, before = time.monotonic(), oom.current_moment()
    no_cache = ("--no-cache",) if plan.no_cache else ()
    what = ("--progress=plain", "build", *no_cache, builds.services[name])
    output = BuildOutput()
    with MemoryPeak() as peak:
        outcome = try_run(
            log,
            *words(release, *what, pinned=False, file=release.paths.builds),
            seconds=plan.step_limit_s,
            env={**environment(release), **builds.variables, "DOCKER_BUILDKIT": "1"},
            on_line=output.read,
        )
    took = time.monotonic() - began
    release.remember(build_memory={**release.record.build_memory, name: peak.host})
    log.write(f"{name}: {took:.0f} s; peak memory {peak}")
    if not outcome.ok:
        raise _failure(release, name, outcome, output, before)


def _failure(
    release: Release, name: str, outcome: Outcome, output: BuildOutput, before: oom.Moment
) -> Failure:
    """With the output of the failed step; the kernel's log shows whether memory was full."""
    step = output.failed_step()
    if outcome.status is None:
        limit = release.plan.build.step_limit_s
        return Failure(
            f"building {name} did not end within {limit} s",
            output=step.lines,
            fix="see the log for the last step; raise build.step_limit_s in the app file",
        )
    place = f" ({step.place})" if step.place else ""
    where = f"{name}, step {step.title}{place}" if step.title else f"{name}{place}"
    reason, fix = step.cause.said, step.cause.fix
    if any(OUT_OF_MEMORY.search(line) for line in step.lines) and (
        killed := oom.killed_since(before)
    ):
        reason, fix = killed
    elif "disk is full" in reason:
        reason = ": ".join(filter(None, ("the disk is full", capacity.full_directory())))
    return Failure(f"building {where}: {reason}", output=step.lines, fix=fix)
