"""What the checks of a deployed app compare: the app on its host, and its file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.app_state import AppState
from gpuhost.snapshot.apps_details import Details, ReleasedService
from gpuhost.snapshot.containers import InspectedContainer

if TYPE_CHECKING:
    from gpuhost.appfile.app import App


@dataclass(frozen=True)
class AppFile:
    """The app's file in the repository; empty if `apps` does not list the app.

    + revision: of its source; None: it is a branch or tag, and its server was not queried
    + overlay: the hash of its source's overlay; "": it has none
    + errors: why it could not be read, a line each
    """

    app: App | None = None
    revision: str | None = None
    overlay: str = ""
    errors: tuple[str, ...] = ()


@dataclass(frozen=True)
class DeployedApp:
    """An app in the repository and on a host. state: None: the host does not have the app."""

    snapshot: Snapshot
    settings: Settings
    name: str
    state: AppState | None
    file: AppFile

    @property
    def details(self) -> Details:
        """Raises NotRead."""
        details = self.state.details if self.state else "this host does not have it"
        if isinstance(details, str):
            raise NotRead(details)
        return details

    @property
    def is_new(self) -> bool:
        """Whether no release of it was ever verified on this host."""
        return self.state is None or self.state.current is None

    @property
    def containers(self) -> tuple[InspectedContainer, ...]:
        """The containers of its Compose project. Raises NotRead."""
        if self.snapshot.docker.engine is None:
            raise NotRead(self.snapshot.docker.engine_complaint)
        assert self.state is not None
        return self.snapshot.containers.of_project(self.state.project)

    @property
    def running(self) -> list[tuple[InspectedContainer, ReleasedService]]:
        """Running containers of services of the release. Raises NotRead."""
        services = self.details.services
        running = [
            container
            for container in self.containers
            if container.service in services and container.running
        ]
        return [(container, services[container.service]) for container in running]

    @property
    def site_is_self_signed(self) -> bool:
        details = self.state.details if self.state else ""
        site = None if isinstance(details, str) else details.site
        return site is not None and site.certificate == "self-signed"

    @property
    def release_command(self) -> str:
        """The command that releases it again."""
        return f"pyinfra INVENTORY deploys/app.py --data app={self.name}"

    def since(self, moment: int | None) -> float:
        """Seconds from a moment to the reading; None: infinite."""
        return float("inf") if moment is None else self.snapshot.system.now - moment
