"""Facts about the host for the pure functions."""

from __future__ import annotations

import os
import re

from gpuhost.runner.docker.compose import project_base
from gpuhost.runner.docker.resolved_model import Model
from gpuhost.runner.lib.commands import run, try_run
from gpuhost.runner.lib.log import NOWHERE
from gpuhost.runner.resolved import tree
from gpuhost.runner.resolved.asking import Answer
from gpuhost.runner.resolved.change import Facts
from gpuhost.runner.resolved.external import external
from gpuhost.runner.resolved.path_facts import Roots, mentioned
from gpuhost.runner.site.nginx_sites import claims
from gpuhost.runner.state.release import Release

SECONDS = 60


def facts(release: Release, answer: Answer) -> Facts:
    """Raises Failure if Docker does not answer."""
    model = answer.model
    roots = roots_of(release)
    paths = mentioned(model, roots)
    return Facts(
        roots,
        tree.read(release.source, release.app.shared, paths),
        answer.inactive,
        answer.hidden,
        engine(),
        len(os.sched_getaffinity(0)),
        site_ports(release),
        _names(release, model, "volume"),
        _names(release, model, "network"),
    )


def roots_of(release: Release) -> Roots:
    base = project_base(release)
    app = release.app
    return Roots(str(release.source), str(app.shared), str(app.files), str(app.home.parent), base)


def engine() -> int:
    """The major version of Docker; 0: unknown."""
    words = ("docker", "version", "--format", "{{.Server.Version}}")
    version = re.match(r"\d+", try_run(NOWHERE, *words, seconds=SECONDS, quiet=True).out)
    return int(version[0]) if version else 0


def site_ports(release: Release) -> tuple[int, ...]:
    """Ports of the app's site on the host's nginx."""
    site = release.plan.nginx
    if site is None or site.where != "host":
        return ()
    ports = claims(release.paths.nginx.read_text(encoding="utf-8"))
    return tuple(sorted({int(claim.port) for claim in ports}))


def _names(release: Release, model: Model, kind: str) -> frozenset[str]:
    """Of the volumes or networks on the host, if the model needs an external one."""
    if not external(model, kind):
        return frozenset()
    words = ("docker", kind, "ls", "--format", "{{.Name}}")
    listed = run(release.log, *words, seconds=SECONDS, what=f"docker {kind} ls", quiet=True)
    return frozenset(listed.split())
