"""nginx: the site in front of the app."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from gpuhost.appfile.host_paths import OwnPath
from gpuhost.appfile.location import Location, reject_duplicates
from gpuhost.appfile.section import Seconds, SecretName, Section, Service, with_port

LABELS = r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*"
# A * replaces the whole first or last label.
ServerName = Annotated[
    str, Field(pattern=rf"^(_|(\*?\.)?{LABELS}|{LABELS}\.\*)$", title="a server name")
]
# More digits overflow in nginx.
Size = Annotated[
    str, Field(pattern=r"^([0-9]{1,12}|[0-9]{1,9}[kKmMgG])$", title='a size, such as "50m"')
]
Upstream = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9._-]+:[0-9]{1,5}$", title='an address, such as "127.0.0.1:3000"'),
    AfterValidator(with_port),
]
Rate = Annotated[int, Field(ge=1, le=1_000_000)]
Burst = Annotated[int, Field(ge=0, le=1_000_000)]


class Tls(Section):
    """TLS certificates; plain HTTP is redirected to HTTPS."""

    kind: Literal["files", "self-signed", "acme"]
    """files: from secrets; self-signed: made on the host; acme: by certbot, with renewal."""
    certificate: SecretName | None = None
    """files: the secret with the certificate chain, PEM."""
    key: SecretName | None = None
    """files: the secret with the private key, PEM."""
    email: (
        Annotated[str, Field(pattern=r"^[^\s@-][^\s@]*@[A-Za-z0-9.-]+$", title="an address")] | None
    ) = None
    """acme: the account's e-mail address."""

    @model_validator(mode="after")
    def _complete(self) -> Tls:
        if self.kind == "files" and not (self.certificate and self.key):
            raise ValueError("kind: files needs certificate and key, the names of two secrets")
        if self.kind == "acme" and not self.email:
            raise ValueError("kind: acme needs email")
        if self.kind != "files" and (self.certificate or self.key):
            raise ValueError("certificate and key are for kind: files")
        if self.kind != "acme" and self.email:
            raise ValueError("email is for kind: acme")
        return self


class PathOptions(Section):
    """Options of one location."""

    rate_per_s: Rate | None = None
    """Requests per second from one client address."""
    burst: Burst = 20
    """Requests above the rate that are accepted without delay."""
    timeout_s: Seconds | None = None
    """How long the app may take to answer."""
    max_body: Size | None = None
    """Largest request body, "50m"."""
    websocket: bool = False
    """Allow WebSocket connections."""
    cache_s: Seconds | None = None
    """How long browsers may cache answers."""
    upstream: Upstream | None = None
    """Upstream of this location, host:port or service:port; default: the site's."""


class Nginx(Section):
    """A site of the host's nginx, or of an nginx container of the app."""

    where: Literal["host", "container"] = "host"
    """Which nginx: the host's, or a container of the app."""
    service: Service | None = None
    """container: the service that runs nginx."""
    config: OwnPath | None = None
    """container: the file that the service mounts, relative to the project directory."""
    server_names: Annotated[tuple[ServerName, ...], Field(min_length=1)] = ("_",)
    """Server names; "_": any."""
    upstream: Upstream
    """Where requests go: 127.0.0.1:3000 from the host, app:3000 from a container."""
    port: Annotated[int, Field(ge=1, le=65535)] = 80
    """HTTP port."""
    tls_port: Annotated[int, Field(ge=1, le=65535)] = 443
    """HTTPS port."""
    tls: Tls | None = None
    """TLS certificates; default: plain HTTP."""
    rate_per_s: Rate | None = None
    """Requests per second from one client address."""
    burst: Burst = 20
    """Requests above the rate that are accepted without delay."""
    timeout_s: Seconds = 60
    """How long the app may take to answer."""
    max_body: Size = "1m"
    """Largest request body."""
    paths: dict[Location, PathOptions] = {}
    """Options by location."""

    @field_validator("server_names")
    @classmethod
    def _no_duplicate_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unique: set[str] = set()
        for name in map(str.lower, names):
            if name in unique:
                raise ValueError(f"{name} is given twice")
            unique.add(name)
        return names

    @field_validator("paths")
    @classmethod
    def _no_duplicate_paths(cls, paths: dict[str, PathOptions]) -> dict[str, PathOptions]:
        reject_duplicates(paths)
        return paths

    @model_validator(mode="after")
    def _container(self) -> Nginx:
        if (self.where == "container") != (self.service is not None and self.config is not None):
            raise ValueError("where: container needs service and config; where: host has neither")
        return self
