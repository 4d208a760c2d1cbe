"""plan.json: what a release does. The controller writes it, the runner reads it.

It contains every decision except those that need the state of the host. It contains names of
secrets, never a value.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from gpuhost.runner.contract import NOT_THERE, from_json, load_json

FORMAT = 1
# Fields have the names of the app file. plan.json, and so the hash of a release's inputs, keeps the
# names that hosts already have: field of the plan -> its field -> the name on disk.
STORED = {
    "source": {"git": "url"},
    "secrets": {"bytes": "length", "path": "file"},
    "nginx": {"server_names": "names"},
}
WITHOUT_BACKUP = "migrate_without_backup"
# For `field(default=…, metadata=LATER)`: a field that the first plan.json did not have. At its
# default it is left out, and changes no app's inputs: no host has to release again for it.
LATER = {"later": True}


@dataclass(frozen=True)
class Edit:
    """A replacement in a file of the source. find: occurs exactly once in it."""

    file: str  # relative to the source
    find: str
    replace: str
    reason: str


@dataclass(frozen=True)
class Source:
    """Where build contexts come from: a commit of a repository, or an archive in the release."""

    kind: str  # "git" | "archive"
    revision: str  # a commit, or the hash of an archive's content
    git: str = ""  # the address
    # Names of secrets; the token is the password of `user`.
    deploy_key: str | None = None
    token: str | None = None
    user: str = "git"
    # Lines of known_hosts; without them the first key of a host is accepted and stored.
    known_hosts: tuple[str, ...] = ()
    # The hash of the files that are put over the source; "": none. Then the edits are applied.
    overlay: str = field(default="", metadata=LATER)
    edits: tuple[Edit, ...] = field(default=(), metadata=LATER)


@dataclass(frozen=True)
class Registry:
    """A private registry to log in to before pulling."""

    host: str
    user: str
    password: str  # a secret's name


@dataclass(frozen=True)
class Build:
    order: tuple[str, ...] = ()  # services; empty: derived from the Dockerfiles
    args: dict[str, str] = field(default_factory=dict)
    # Dockerfiles of base images that are no service: tag -> (context, file)
    bases: dict[str, tuple[str, str]] = field(default_factory=dict)
    no_cache: bool = False
    memory_gb: float = 0
    disk_gb: float = 0
    step_limit_s: int = 3600


@dataclass(frozen=True)
class Secret:
    """A secret: given with the release, or generated once on the host."""

    name: str
    services: tuple[str, ...] = ()  # empty: every service
    generate: str | None = None  # "hex" | "base64" | "words"; None: given
    bytes: int = 32  # of randomness
    path: str | None = None  # a file under shared/, instead of the environment
    value: str = ""  # a template of other secrets, "redis://:${REDIS_PASSWORD}@redis/0"
    internal: bool = False  # a deploy key, a registry's password: no service gets it


@dataclass(frozen=True)
class Directory:
    path: str  # absolute, or relative to shared/
    owner: str = "root:root"  # numbers or names
    mode: str = "0755"


@dataclass(frozen=True)
class Logs:
    """Log files in bind mounts that the host rotates."""

    files: tuple[str, ...] = ()  # relative to shared/, * allowed
    max_size_mb: int = 50
    keep: int = 7


@dataclass(frozen=True)
class Postgres:
    service: str
    database: str
    user: str


@dataclass(frozen=True)
class Backup:
    sqlite: tuple[str, ...] = ()  # files, relative to shared/
    paths: tuple[str, ...] = ()  # files and directories, relative to shared/
    postgres: tuple[Postgres, ...] = ()
    keep: int = 7
    limit_s: int = 1800
    every: str = ""  # systemd's OnCalendar; "": only before migrations


@dataclass(frozen=True)
class Migrate:
    service: str
    limit_s: int = 600
    without_backup: bool = False


@dataclass(frozen=True)
class Expect:
    """The expected answer. Empty fields are not checked."""

    status: int = 200
    contains: str = ""
    content_type: str = ""
    # Dotted path in a JSON answer -> the expected text ("*": anything but null).
    json: dict[str, str] = field(default_factory=dict)
    least_bytes: int = 0


@dataclass(frozen=True)
class HttpRequest:
    url: str  # http://127.0.0.1:3000/…
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    expect: Expect = field(default_factory=Expect)
    # A second request, to the address at this dotted path of the first JSON answer.
    then: str = ""
    then_expect: Expect = field(default_factory=Expect)


@dataclass(frozen=True)
class VerifyStep:
    """Exactly one of request, log and command is set."""

    name: str
    within_s: int = 60
    request: HttpRequest | None = None
    log: str = ""  # a regular expression that a line of `service`'s log matches
    command: tuple[str, ...] = ()  # exits 0 inside `service`
    service: str = ""
    # Sent to nginx too, at this address instead of the request's own origin.
    through: str = ""


@dataclass(frozen=True)
class Verify:
    steps: tuple[VerifyStep, ...] = ()
    start_s: int = 300  # the longest an app may load
    loading: tuple[str, ...] = ()  # log lines (regular expressions) of an app that is still loading
    fatal: tuple[str, ...] = ()  # log lines of an app that will not start


@dataclass(frozen=True)
class Nginx:
    """The rendered site; its text is nginx.conf in the release."""

    where: str  # "host" | "container"
    service: str = ""  # the container's service
    path: str = ""  # where the file goes: absolute on the host, or relative to shared/
    server_names: tuple[str, ...] = ()
    certificate: str = ""  # "" | "files" | "self-signed" | "acme"
    certificate_dir: str = ""
    email: str = ""
    # Files of `files` certificates: names of secrets with their PEM texts.
    certificate_secret: str | None = None
    key_secret: str | None = None


@dataclass(frozen=True)
class Gpu:
    """The GPU of a service; the image's own NVIDIA_REQUIRE_CUDA is read on the host."""

    service: str
    driver: str = ""  # the host's driver version, as read when planning
    cuda: str = ""  # the CUDA that this driver brings, "12.2"
    brand: str = ""
    compute_capability: str = ""
    # Set only where gpuhost decides; otherwise the cards that the Compose files reserve.
    count: int | None = field(default=None, metadata=LATER)
    device_ids: tuple[str, ...] = field(default=(), metadata=LATER)
    # The memory that its containers need on each of these cards or MIG devices, by UUID.
    vram_gb: float = field(default=0, metadata=LATER)
    places: tuple[str, ...] = field(default=(), metadata=LATER)


@dataclass(frozen=True)
class Resources:
    """Limits of a service; 0: none."""

    service: str
    memory_gb: float = 0
    shm_gb: float = 0
    cpus: float = 0


@dataclass(frozen=True)
class Plan:
    app: str
    id: str
    inputs: str  # hash of everything that determines a release: the same inputs, no change
    by: str  # who released, user@machine
    project: str
    revision: str
    # The release whose files and images this one activates again; None: it is not a rollback.
    rollback_of: str | None = None
    source: Source | None = None
    registries: tuple[Registry, ...] = ()
    variant: str = ""  # in words: with or without a GPU, and why
    profiles: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()  # services that are not started here
    scale: dict[str, int] = field(default_factory=dict)
    build: Build = field(default_factory=Build)
    secrets: tuple[Secret, ...] = ()
    directories: tuple[Directory, ...] = ()
    logs: Logs = field(default_factory=Logs)
    gpu: tuple[Gpu, ...] = ()
    backup: Backup | None = None
    migrate: Migrate | None = None
    verify: Verify = field(default_factory=Verify)
    nginx: Nginx | None = None
    adopt: bool = False
    keep_releases: int = 3
    limit_s: int = 7200  # the whole release; a restore has as long again
    format: int = FORMAT
    # The Compose files, and what is changed in what they mean.
    # The project's own files, relative to the source, in order.
    compose: tuple[str, ...] = field(default=(), metadata=LATER)
    # compose.yaml (the app file) has services: it is the last file.
    inline: bool = field(default=True, metadata=LATER)
    # For Compose; they win over .env.
    variables: dict[str, str] = field(default_factory=dict, metadata=LATER)
    # Files that Compose reads, relative to the source.
    env_files: tuple[str, ...] = field(default=(), metadata=LATER)
    # The .env at the root of the source counts too, before that of the project directory.
    root_dotenv: bool = field(default=False, metadata=LATER)
    # Variables that may stay unset: proxies, and those that are only in services that do not run.
    optional: tuple[str, ...] = field(default=(), metadata=LATER)
    # "service:target" of binds that the file declares writable.
    writable: tuple[str, ...] = field(default=(), metadata=LATER)
    # "service:port" of ports that keep their address; the others are on the loopback interface.
    public: tuple[str, ...] = field(default=(), metadata=LATER)
    resources: tuple[Resources, ...] = field(default=(), metadata=LATER)
    # Of the variant, by service.
    environment: dict[str, dict[str, str]] = field(default_factory=dict, metadata=LATER)
    # Services that must end with 0.
    one_shots: tuple[str, ...] = field(default=(), metadata=LATER)
    # Cards are taken away from every service.
    without_card: bool = field(default=False, metadata=LATER)

    def text(self) -> str:
        """The text of plan.json; the same plan gives the same text."""
        return json.dumps(as_json(self), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


class BadPlan(ValueError):
    """plan.json has another format, or is incomplete."""


def load(path: Path) -> Plan:
    """Raises BadPlan, or OSError: a read error may be temporary, and no plan is bad for it."""
    try:
        value = load_json(path)
        if value.get("format") != FORMAT:
            raise BadPlan(
                f"{path}: format {str(value.get('format'))[:20]}, this runner reads {FORMAT}"
            )
        return from_json(Plan, _from_stored(value))
    except BadPlan:
        raise
    except (*NOT_THERE, ValueError, TypeError, AttributeError, KeyError) as error:
        raise BadPlan(f"{path}: {error}; release the app again") from error


def as_json(plan: Plan) -> dict[str, Any]:
    """A plan with the names of plan.json."""
    values = _values(plan)
    for key, names in STORED.items():
        values[key] = _rename_keys(values[key], names)
    migrate = values["migrate"]
    return {**values, WITHOUT_BACKUP: bool(migrate and migrate.pop("without_backup"))}


def _values(part: Any) -> Any:
    """As `asdict`, without later fields at their default."""
    if is_dataclass(part):
        kept = (one for one in fields(part) if not _is_unused(one, getattr(part, one.name)))
        return {one.name: _values(getattr(part, one.name)) for one in kept}
    if isinstance(part, (list, tuple)):
        return [_values(item) for item in part]
    return dict(part) if isinstance(part, dict) else part


def _is_unused(later: Field[Any], value: object) -> bool:
    factory = later.default_factory
    default = later.default if factory is MISSING else factory()
    return "later" in later.metadata and value == default


def _from_stored(stored: dict[str, Any]) -> dict[str, Any]:
    values = dict(stored)
    for key, names in STORED.items():
        values[key] = _rename_keys(stored.get(key), {name: field for field, name in names.items()})
    if migrate := stored.get("migrate"):
        values["migrate"] = {**migrate, "without_backup": stored.get(WITHOUT_BACKUP, False)}
    return {key: value for key, value in values.items() if key in stored}


def _rename_keys(value: Any, names: dict[str, str]) -> Any:
    """Rename the keys of an object, or of each object in a list."""
    if isinstance(value, (list, tuple)):
        return [_rename_keys(item, names) for item in value]
    return {names.get(key, key): item for key, item in value.items()} if value else value
