"""Chains the pure functions: Compose's answer becomes the model of a release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gpuhost.runner.docker import resolved_model
from gpuhost.runner.docker.resolved_model import Model, with_extension
from gpuhost.runner.plan import Plan
from gpuhost.runner.resolved import external
from gpuhost.runner.resolved.cards import cards
from gpuhost.runner.resolved.health import of_files
from gpuhost.runner.resolved.limits import host_cpus, limits
from gpuhost.runner.resolved.path_facts import PathFacts, Roots
from gpuhost.runner.resolved.paths import paths
from gpuhost.runner.resolved.ports import ports
from gpuhost.runner.resolved.proxies import without_unset_proxies
from gpuhost.runner.resolved.services import restart_after_errors, services


@dataclass(frozen=True)
class Facts:
    """What the functions must know.

    + paths: by path in the source, for each that the model names
    + inactive: services of the files that are in no active profile
    + hidden: services that are in the model only for the migration
    + engine: major version of Docker; cores: of the host
    + site: ports of the app's site on the host's nginx
    + volumes, networks: names on the host
    + copied: copies that this release has begun before an interruption
    """

    roots: Roots
    paths: Mapping[str, PathFacts] = field(default_factory=dict)
    inactive: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    engine: int = 0
    cores: int = 1
    site: tuple[int, ...] = ()
    volumes: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()
    copied: tuple[str, ...] = ()


@dataclass(frozen=True)
class Changed:
    """+ notes: for the log
    + files: see paths.WithPaths
    """

    model: Model
    notes: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)


def change(model: Model, plan: Plan, facts: Facts) -> Changed:
    """Everything that the plan and the host change. Raises Failure."""
    started, of_services = services(model, plan, facts.inactive, facts.hidden)
    external.require_a_service(started, plan.migrate.service if plan.migrate else None)
    started, of_proxies = without_unset_proxies(started, plan.optional)
    external.refuse_unsupported(started)
    external.refuse_missing(started, "volume", facts.volumes)
    external.refuse_missing(started, "network", facts.networks)
    with_paths = paths(started, plan, facts.roots, facts.paths)
    published, of_ports = ports(with_paths.model, plan, facts.site)
    with_cards, of_cards = cards(published, plan)
    limited, of_limits = limits(with_cards, plan, facts.cores)
    checked = of_files(restart_after_errors(limited), facts.engine)
    copies = tuple(dict.fromkeys((*with_paths.copies, *facts.copied)))
    extension = replace(resolved_model.extension(checked), copies=copies)
    said = (*of_services, *of_proxies, *with_paths.notes, *of_ports, *of_cards, *of_limits)
    return Changed(with_extension(checked, extension), said, with_paths.files)


def change_old(model: Model, plan: Plan, facts: Facts) -> Changed:
    """A release of an older gpuhost: its second Compose file has made the other changes."""
    started, _ = services(model, plan, facts.inactive, facts.hidden)
    lowered, said = host_cpus(started, facts.cores)
    # It gave every lasting service a restart policy.
    extension = replace(resolved_model.extension(lowered), lasting=())
    return Changed(with_extension(lowered, extension), said)
