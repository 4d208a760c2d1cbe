"""The services that run: without those left out, and with one-shots as such."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from gpuhost.runner.docker.resolved_model import (
    LEFT_OUT,
    Extension,
    Model,
    extension,
    restart_policy,
    running,
    with_extension,
)
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Plan

COMPLETED = "service_completed_successfully"
# Keys with which a service shares a namespace of another: "service:NAME".
SHARED = ("network_mode", "ipc", "pid", "uts")
RESOURCES = ("volumes", "networks", "configs", "secrets")


def services(
    model: Model, plan: Plan, inactive: Iterable[str], hidden: Iterable[str] = ()
) -> tuple[Model, tuple[str, ...]]:
    """The model with the services of this release, and notes for the log.

    + inactive: services of the files that are in no active profile
    + hidden: services of the model that are there only for the migration

    Raises Failure.
    """
    changed = deepcopy(model)
    sections: dict[str, dict[str, Any]] = changed["services"]
    _refuse_unknown(plan, sections, inactive)
    waited_for = set(_waited_for(sections.values()))
    for section in sections.values():
        section.pop("develop", None)  # of no use on a host
    left_out = [name for name in plan.leave_out if name in sections]
    for name in left_out:
        _leave_out(sections, name)
    started = running(changed)
    migration = plan.migrate.service if plan.migrate else None
    for name, section in started.items():
        _drop_dependencies(name, section, {other for other in started if other != migration})
    for name in plan.one_shots:
        if name in started:
            _end_once(started[name])
    ending = {*plan.one_shots, *waited_for, *hidden, migration}
    lasting = [n for n, section in started.items() if n not in ending and not _has_policy(section)]
    _drop_unused(changed)
    gone = tuple(dict.fromkeys((*inactive, *left_out)))
    one_shots = tuple(name for name in plan.one_shots if name in started)
    own = Extension(gone, tuple(lasting), one_shots, tuple(hidden))
    return with_extension(changed, own), tuple(_notes(left_out, lasting))


def restart_after_errors(model: Model) -> Model:
    """Services without a restart policy: they may wait for a database by ending with an error."""
    changed = deepcopy(model)
    for name in extension(changed).lasting:
        changed["services"][name]["restart"] = "on-failure"
    return changed


def _notes(left_out: Sequence[str], lasting: Sequence[str]) -> Iterator[str]:
    if left_out:
        yield f"left out here: {', '.join(left_out)}"
    if lasting:
        yield (
            f"{', '.join(lasting)}: no restart policy in the file: on-failure. One that ends with "
            "0 is done; one with a port or a health check gets unless-stopped when the app is up"
        )


def _refuse_unknown(plan: Plan, sections: Mapping[str, Any], inactive: Iterable[str]) -> None:
    unknown = [name for name in plan.one_shots if name not in {*sections, *inactive}]
    if unknown:
        raise Failure(
            f"one_shots: the Compose files have no service {unknown[0]}",
            fix=f"correct x-gpuhost.one_shots; the services are {', '.join(sections)}",
        )


def _waited_for(sections: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Services that others wait for to end."""
    for section in sections:
        for name, how in (section.get("depends_on") or {}).items():
            if (how or {}).get("condition") == COMPLETED:
                yield name


def _leave_out(sections: dict[str, dict[str, Any]], name: str) -> None:
    """Keep it only if its image can be built: others may be FROM it."""
    section = sections.pop(name)
    if not section.get("build"):
        return
    kept = {key: section[key] for key in ("image", "build", "pull_policy") if section.get(key)}
    sections[name] = {**kept, "profiles": [LEFT_OUT]}


def _drop_dependencies(name: str, section: dict[str, Any], present: set[str]) -> None:
    """References to services that are not started. Raises Failure for one that cannot go."""
    needed = section.get("depends_on") or {}
    if missing := needed.keys() - present:
        section["depends_on"] = {n: how for n, how in needed.items() if n not in missing}
    if not section.get("depends_on"):
        section.pop("depends_on", None)
    if links := section.get("links"):
        section["links"] = [link for link in links if str(link).partition(":")[0] in present]
    for key, other in _shares(section):
        if other not in present:
            raise Failure(
                f"service {name} cannot run without {other}, which is left out here: "
                f"{key} refers to it",
                fix=f"leave {name} out too (leave_out), or change {key} of {name}",
            )


def _shares(section: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in SHARED:
        kind, _, other = str(section.get(key) or "").partition(":")
        if kind == "service":
            yield key, other
    for entry in section.get("volumes_from") or ():
        if not str(entry).startswith("container:"):
            yield "volumes_from", str(entry).partition(":")[0]


def _end_once(section: dict[str, Any]) -> None:
    section["restart"] = "no"
    if deploy := section.get("deploy"):
        deploy.pop("restart_policy", None)


def _has_policy(section: Mapping[str, Any]) -> bool:
    return bool(restart_policy(section)) or "restart" in section


def _drop_unused(model: Model) -> None:
    """What only services that do not run use: Compose would create it."""
    for kind in RESOURCES:
        used = {name for section in model["services"].values() for name in _used(section, kind)}
        if kind == "volumes":
            used |= {name for section in model["services"].values() for name in _volumes(section)}
        if kept := {n: value for n, value in (model.get(kind) or {}).items() if n in used}:
            model[kind] = kept
        else:
            model.pop(kind, None)


def _used(section: Mapping[str, Any], kind: str) -> Iterator[str]:
    value = section.get(kind) or ()
    if isinstance(value, Mapping):
        yield from value
    elif kind in ("configs", "secrets"):
        built = (section.get("build") or {}).get(kind) or ()
        for entry in (*value, *built):
            yield entry["source"] if isinstance(entry, Mapping) else entry


def _volumes(section: Mapping[str, Any]) -> Iterator[str]:
    for volume in section.get("volumes") or ():
        if volume.get("type") == "volume" and volume.get("source"):
            yield volume["source"]
