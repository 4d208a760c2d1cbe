"""nginx: how the world reaches the app."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from gpuhost.appfile.host_paths import OwnPath
from gpuhost.appfile.location import Location, reject_duplicates
from gpuhost.appfile.section import Seconds, SecretName, Section, Service, with_port

LABELS = r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*"
# A * stands for the first or the last label alone, and whole.
ServerName = Annotated[
    str, Field(pattern=rf"^(_|(\*?\.)?{LABELS}|{LABELS}\.\*)$", title="a server name")
]
# No more digits than nginx can count.
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
    """Certificates, and port 80 answered by a redirect."""

    kind: Literal["files", "self-signed", "acme"]
    """From secrets, made on the host, or by certbot with renewal."""
    certificate: SecretName | None = None
    """files: the secret with the certificate chain, PEM."""
    key: SecretName | None = None
    """files: the secret with the private key, PEM."""
    email: (
        Annotated[str, Field(pattern=r"^[^\s@-][^\s@]*@[A-Za-z0-9.-]+$", title="an address")] | None
    ) = None
    """acme: the account's address."""

    @model_validator(mode="after")
    def _complete(self) -> Tls:
        if self.kind == "files" and not (self.certificate and self.key):
            raise ValueError("files needs certificate and key, the names of two secrets")
        if self.kind == "acme" and not self.email:
            raise ValueError("acme needs email")
        if self.kind != "files" and (self.certificate or self.key):
            raise ValueError("certificate and key go with kind: files")
        if self.kind != "acme" and self.email:
            raise ValueError("email goes with kind: acme")
        return self


class PathOptions(Section):
    """What is different for one location."""

    rate_per_s: Rate | None = None
    """Requests a second from one address."""
    burst: Burst = 20
    """Requests above the rate that are let through at once."""
    timeout_s: Seconds | None = None
    """How long the app may take to answer."""
    max_body: Size | None = None
    """Largest request, "50m"."""
    websocket: bool = False
    """Upgrade connections."""
    cache_s: Seconds | None = None
    """How long browsers keep answers."""
    upstream: Upstream | None = None
    """Another upstream than the site's, host:port or service:port."""


class Nginx(Section):
    """A site of the host's own nginx, or of one in a container of the app."""

    where: Literal["host", "container"] = "host"
    """Which nginx."""
    service: Service | None = None
    """container: the service that is nginx."""
    config: OwnPath | None = None
    """container: the file that the service mounts, in the project directory."""
    server_names: Annotated[tuple[ServerName, ...], Field(min_length=1)] = ("_",)
    """Names that the site answers to; "_": any."""
    upstream: Upstream
    """127.0.0.1:3000 on the host, app:3000 inside Docker."""
    port: Annotated[int, Field(ge=1, le=65535)] = 80
    """Port without TLS."""
    tls_port: Annotated[int, Field(ge=1, le=65535)] = 443
    """Port with TLS."""
    tls: Tls | None = None
    """Certificates; none: plain HTTP."""
    rate_per_s: Rate | None = None
    """Requests a second from one address."""
    burst: Burst = 20
    """Requests above the rate that are let through at once."""
    timeout_s: Seconds = 60
    """How long the app may take to answer."""
    max_body: Size = "1m"
    """Largest request."""
    paths: dict[Location, PathOptions] = {}
    """Location to what is different there."""

    @field_validator("server_names")
    @classmethod
    def _named_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        known: set[str] = set()
        for name in map(str.lower, names):
            if name in known:
                raise ValueError(f"{name} is named twice")
            known.add(name)
        return names

    @field_validator("paths")
    @classmethod
    def _one_each(cls, paths: dict[str, PathOptions]) -> dict[str, PathOptions]:
        reject_duplicates(paths)
        return paths

    @model_validator(mode="after")
    def _container(self) -> Nginx:
        if (self.where == "container") != (self.service is not None and self.config is not None):
            raise ValueError("where: container goes with service and config, both")
        return self
