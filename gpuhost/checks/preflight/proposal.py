"""What the checks before a release are about: an app, a host, and the variant chosen for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from gpuhost.appfile.app import App
from gpuhost.appfile.compose.model import ComposeService
from gpuhost.release.variant import ChosenVariant, NoVariant
from gpuhost.runner.contract import APPS
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.app_state import AppState
from gpuhost.snapshot.docker import Container


@dataclass(frozen=True)
class Proposal:
    """An app that is to be released on a host.

    + choice: the variant for this host, or why there is none
    + secrets: problems with the secrets, a line each
    """

    snapshot: Snapshot
    app: App
    choice: ChosenVariant | NoVariant
    settings: Settings
    secrets: tuple[str, ...] = ()

    @property
    def state(self) -> AppState | None:
        """The app as the host has it. Raises NotRead."""
        return self.snapshot.apps.get(self.app.name)

    @property
    def directory(self) -> str:
        """Compose's project directory, the same for every release."""
        return f"{APPS}/{self.app.name}/shared"

    @cached_property
    def services(self) -> Mapping[str, ComposeService]:
        """The services that would be started; without a variant, those without a profile."""
        chosen = self.choice if isinstance(self.choice, ChosenVariant) else None
        of_app = (*self.app.files.profiles, *self.app.block.profiles)
        profiles = set(chosen.profiles if chosen else of_app)
        left_out = set(chosen.leave_out if chosen else ())
        if self.app.block.migrate:
            left_out.add(self.app.block.migrate.service)
        return {
            name: service
            for name, service in self.app.compose.services.items()
            if name not in left_out and service.is_started(profiles)
        }

    @property
    def foreign(self) -> list[Container]:
        """Containers of other Compose projects, or of none. Raises NotRead."""
        return [
            container
            for container in self.snapshot.docker.containers
            if container.project != self.app.project
        ]
