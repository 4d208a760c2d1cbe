"""What Compose does not create, and what gpuhost cannot run."""

from __future__ import annotations

from collections.abc import Collection
from shlex import quote

from gpuhost.runner.docker.resolved_model import Model, extension, running, written_by_containers
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.file_names import shown

KINDS = {"volume": "volumes", "network": "networks"}


def refuse_unsupported(model: Model) -> None:
    """Raises Failure for what runs outside of containers, and for names that are options."""
    for name in model["services"]:
        if name.startswith("-"):
            raise Failure(
                f"the service {shown(name)}: its name begins with -, which docker compose takes as "
                "an option",
                fix="rename it in the Compose files",
            )
    for name, section in running(model).items():
        if provider := section.get("provider"):
            kind = provider.get("type") if isinstance(provider, dict) else provider
            raise Failure(
                f"service {name} is not a container: provider {kind} is another program, which "
                "gpuhost cannot pin, verify or roll back",
                fix=f"leave {name} out (leave_out), and run what it provides beside the app",
            )
        if section.get("models"):
            raise Failure(
                f"service {name} uses models: they are run by Docker Model Runner, not in a "
                "container, and not every version of Compose supports them",
                fix="run the model in a service of its own, and give its address by environment",
            )
    if model.get("models"):
        raise Failure(
            "models: they are run by Docker Model Runner, not in a container",
            fix="run each model in a service of its own",
        )
    try:
        list(written_by_containers(model))
    except ValueError as error:
        raise Failure(
            f"the Compose files: {error}",
            fix="mount a directory above them instead; of an overlay, name each directory once",
        ) from None


def require_a_service(model: Model, migration: str | None) -> None:
    """Raises Failure if no service is left to run: the old containers would only be removed.

    + migration: the service of the migration, which does not stay
    """
    own = extension(model)
    if not running(model).keys() - {*own.of_migration, migration}:
        kinds = {
            "left out, or in no active profile": sorted(own.inactive),
            "for the migration": sorted(filter(None, {*own.of_migration, migration})),
        }
        names = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in kinds.items() if names)
        raise Failure(
            f"no service is left to run on this host ({names or 'the files have none'})",
            fix="set profiles in x-gpuhost, or correct leave_out; with_gpu and without_gpu have "
            "them too",
        )


def refuse_missing(model: Model, kind: str, present: Collection[str]) -> None:
    """Raises Failure if an external volume or network does not exist.

    + kind: "volume" or "network"
    + present: names on this host
    """
    missing = [name for name in external(model, kind) if name not in present]
    if missing:
        commands = "; ".join(f"docker {kind} create {quote(shown(name))}" for name in missing)
        raise Failure(
            f"external {kind} {', '.join(map(shown, missing))}: not on this host, and Compose does "
            f"not create an external {kind}",
            fix=f"on the host: {commands}",
        )


def external(model: Model, kind: str) -> tuple[str, ...]:
    """The names on the host of external volumes or networks."""
    declared = (model.get(KINDS[kind]) or {}).items()
    return tuple(str(v.get("name") or key) for key, v in declared if (v or {}).get("external"))
