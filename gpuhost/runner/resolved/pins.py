"""What runs: images by id, which cannot be pulled, and secrets."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

from gpuhost.runner.docker.resolved_model import Model, is_left_out
from gpuhost.runner.docker.services import image_of
from gpuhost.runner.plan import Plan, Secret

# Compose recreates a container if a label changes, but not if the content of a file changes.
FILES_LABEL = "gpuhost.secret-files"


def pins(
    model: Model,
    plan: Plan,
    tags: Mapping[str, str],
    values: Mapping[str, str],
    changed_at: Mapping[str, int],
) -> Model:
    """The model as it runs, without services that are left out and without builds.

    + tags: local tags of the recorded images, by service
    + values: of all secrets
    + changed_at: secrets that are files, with modification time
    """
    changed = deepcopy(model)
    changed["services"] = {
        name: section for name, section in changed["services"].items() if not is_left_out(section)
    }
    for name, section in changed["services"].items():
        section["image"] = tags.get(name) or image_of(plan.project, name, section)
        section.pop("build", None)
        if name in tags:
            section["pull_policy"] = "never"
        own = [s for s in plan.secrets if not s.services or name in s.services]
        if environment := _environment(own, values):
            section["environment"] = {**(section.get("environment") or {}), **environment}
        # The newest secret file of the service.
        if times := [changed_at[s.name] for s in own if s.name in changed_at]:
            labels = {FILES_LABEL: str(max(times))}
            section["labels"] = {**(section.get("labels") or {}), **labels}
    return changed


def _environment(own: list[Secret], values: Mapping[str, str]) -> dict[str, str]:
    # Compose expands a single $.
    return {s.name: values[s.name].replace("$", "$$") for s in own if not s.internal and not s.path}
