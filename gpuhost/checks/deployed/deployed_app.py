"""What the checks of a deployed app judge: the app on its host, and its file in the repository."""

from __future__ import annotations

from dataclasses import dataclass

from gpuhost.appfile.app import App
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.app_state import AppState
from gpuhost.snapshot.apps_details import Details, WantedService
from gpuhost.snapshot.containers import Described


@dataclass(frozen=True)
class AppFile:
    """An app as the repository has it; empty if it is not listed.

    + revision: of its source; None: a branch or tag, whose server was not asked
    + wrong: why it could not be read, a line each
    """

    app: App | None = None
    revision: str | None = None
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True)
class DeployedApp:
    """An app on a host, as the repository and the host have it. state: None: the host has none."""

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
    def containers(self) -> tuple[Described, ...]:
        """The containers of its Compose project. Raises NotRead."""
        if self.snapshot.docker.engine is None:
            raise NotRead(self.snapshot.docker.engine_complaint)
        assert self.state is not None
        return self.snapshot.containers.of_project(self.state.project)

    @property
    def running(self) -> list[tuple[Described, WantedService]]:
        """Running containers of services of the release. Raises NotRead."""
        services = self.details.services
        running = [one for one in self.containers if one.service in services and one.running]
        return [(one, services[one.service]) for one in running]

    @property
    def site_is_self_signed(self) -> bool:
        details = self.state.details if self.state else ""
        site = None if isinstance(details, str) else details.site
        return site is not None and site.certificate == "self-signed"

    @property
    def again(self) -> str:
        """The command that releases it again."""
        return f"pyinfra INVENTORY deploys/app.py --data app={self.name}"

    def since(self, moment: int | None) -> float:
        """Seconds from a moment to the reading; None: infinite."""
        return float("inf") if moment is None else self.snapshot.system.now - moment
