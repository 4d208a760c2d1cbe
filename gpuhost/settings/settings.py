"""What a host is declared to be: every setting, its type, default, unit and meaning.

This module is the source. ``group_data/all.py`` and ``docs/settings.md`` are generated from it
(``make docs``), and a test fails when they are stale.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic.fields import FieldInfo

from gpuhost.settings.types import (
    Acceptance,
    AddressPool,
    AppName,
    BuildArgument,
    Calendar,
    ChinaMirror,
    CudaVersion,
    DriverBranch,
    Fingerprint,
    HostPath,
    ImageName,
    LogSize,
    ProxyException,
    ProxyUrl,
    RelativePath,
    Rule,
    ToolkitVersion,
    UnitPath,
    Url,
    is_plain_path,
)

# Published by Docker: docs.docker.com/engine/install/debian, "verify that the fingerprint is".
DOCKER_KEY_FINGERPRINT = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"
# The primary key, and the only signer, of nvidia.github.io/libnvidia-container/gpgkey: "NVIDIA
# CORPORATION (Open Source Projects) <cudatools@nvidia.com>", 2017-09-28. NVIDIA publishes no
# fingerprint; this is what dnf prints when it imports that key, and what public projects pin.
TOOLKIT_KEY_FINGERPRINT = "C95B321B61E88C1809C4F759DDCAE044F796ECB0"


def setting(default: Any, meaning: str, *, unit: str = "", **limits: Any) -> Any:
    """A field with the one line that the reference page prints."""
    return Field(default, description=meaning, json_schema_extra={"unit": unit}, **limits)


class Settings(BaseModel):
    """The declared state of one host. Every name begins with its noun.

    **Example:** in ``group_data/all.py``

    .. code:: python

        gpu = "required"
        cuda = "12.1"
        swap_size_gb = 16
    """

    model_config = ConfigDict(allow_inf_nan=False, frozen=True, extra="forbid", strict=True)

    adopt: bool = setting(
        False,
        "Allow the first run on a used machine to stop, close or replace what is already there.",
    )

    gpu: Literal["auto", "required", "none"] = setting(
        "auto", "Whether the host must have a GPU: `auto` takes what is on the PCI bus."
    )
    gpu_count: int | None = setting(None, "How many GPUs must answer; None: any number.", ge=1)
    cuda: CudaVersion | None = setting(
        None, 'The CUDA version that the containers use, such as "12.1"; None: do not check.'
    )

    system_allow_unsupported: bool = setting(
        False, "Go on with a distribution or architecture that gpuhost was not written for."
    )
    system_security_updates: bool = setting(
        True, "Install security updates by themselves; never NVIDIA's or Docker's packages."
    )

    # A proxy's URL may hold a password, which no printed Settings may show.
    proxy_http: ProxyUrl | None = setting(
        None, "HTTP proxy for apt, the engine, builds and containers.", repr=False
    )
    proxy_https: ProxyUrl | None = setting(None, "The same for HTTPS.", repr=False)
    proxy_no: tuple[ProxyException, ...] = setting(
        ("localhost", "127.0.0.1", "::1"), "Hosts and networks reached without the proxy."
    )

    apt_mirror: Literal["auto"] | ChinaMirror | Url | None = setting(
        None, "Where the distribution's packages come from; None: the original sources."
    )
    apt_mirror_security: bool = setting(
        False, "Take security updates from the mirror too, although it may lag behind."
    )
    apt_mirror_candidates: tuple[ChinaMirror | Url, ...] = setting(
        ("aliyun", "tuna", "ustc"), "What `auto` tries, in this order.", min_length=1
    )
    apt_mirror_max_age_days: int = setting(
        7, "`auto` refuses a mirror whose Release file is older.", unit="days", ge=1
    )
    apt_lock_timeout_s: int = setting(
        300,
        "How long each step that needs apt waits for another apt or dpkg to end.",
        unit="s",
        ge=0,
        le=3600,
    )

    nvidia_driver: Literal["check", "install"] = setting(
        "check", "Only check the driver, or install it too."
    )
    nvidia_source: Literal["distro", "nvidia"] = setting(
        "distro", "Install the driver from the distribution or from NVIDIA's own repository."
    )
    nvidia_branch: DriverBranch | None = setting(
        None, 'The driver branch to install, such as "580"; None: the newest that fits the cards.'
    )
    nvidia_mirror: Url | None = setting(
        None, "A mirror of NVIDIA's repository; None: developer.download.nvidia.com."
    )
    nvidia_key_fingerprint: Fingerprint | None = setting(
        None,
        "The key that must sign NVIDIA's driver repository; None: the one that NVIDIA published "
        "for the distribution's release.",
    )
    nvidia_reboot: bool = setting(
        False, "Reboot when the driver needs it, and wait until it is loaded."
    )
    nvidia_hold: bool = setting(
        True,
        "Keep NVIDIA's packages at their version: an upgrade under running containers breaks them.",
    )
    nvidia_persistence: bool = setting(True, "Keep the driver loaded while nothing uses the card.")

    toolkit_mirror: Literal["nvidia", "ustc"] | Url = setting(
        "nvidia", "Where the NVIDIA Container Toolkit comes from."
    )
    toolkit_version: ToolkitVersion | None = setting(
        None, 'The toolkit\'s version, such as "1.20.0"; None: the newest, all packages alike.'
    )
    toolkit_key_fingerprint: Fingerprint = setting(
        TOOLKIT_KEY_FINGERPRINT, "The key that must sign the toolkit's repository."
    )
    toolkit_key_file: str | None = setting(
        None, "The key as a file on this machine; None: fetched by the host from the mirror."
    )
    toolkit_test_image: ImageName | None = setting(
        None, "Image for the GPU test; None: one made on the host from its own C library."
    )

    docker_source: Literal["docker-ce", "distro", "present"] = setting(
        "docker-ce", "Docker's repository, the distribution's packages, or an engine already there."
    )
    docker_mirror: Literal["docker"] | ChinaMirror | Url = setting(
        "docker", "A mirror of Docker's repository."
    )
    docker_key_fingerprint: Fingerprint = setting(
        DOCKER_KEY_FINGERPRINT, "The key that must sign Docker's repository."
    )
    docker_key_file: str | None = setting(
        None, "The key as a file on this machine; None: fetched by the host from the mirror."
    )
    docker_restart: Literal["idle", "always", "never"] = setting(
        "idle",
        "When a changed configuration may restart the engine: `idle`: no container would stop.",
    )
    docker_registry_mirrors: tuple[Url, ...] = setting((), "Mirrors of Docker Hub, in order.")
    docker_log_max_size: LogSize = setting("10m", "A container's log is rotated at this size.")
    docker_log_max_file: int = setting(3, "How many rotated logs are kept.", ge=1)
    docker_address_pools: tuple[AddressPool, ...] = setting(
        (), 'Networks for containers, "10.200.0.0/16#24": /24 networks out of 10.200.0.0/16.'
    )
    docker_data_root: HostPath | None = setting(
        None, "Where images and volumes live; None: the engine's default."
    )
    docker_live_restore: bool = setting(True, "Containers go on while the engine restarts.")
    docker_features: dict[str, bool] = setting({}, "The engine's feature switches.")
    docker_min_memory_gb: float = setting(
        8, "Memory that containers can use: RAM and swap, or the cgroup's limit.", unit="GB", ge=0
    )

    swap_size_gb: Literal["auto"] | float = setting(
        "auto", "Size of the swap file; 0: none; `auto`: by RAM and free disk.", unit="GB"
    )
    swap_path: Annotated[HostPath, AfterValidator(is_plain_path)] = setting(
        "/swapfile", "The swap file."
    )
    swap_swappiness: int = setting(10, "How eagerly the kernel swaps.", ge=0, le=200)

    firewall_enabled: bool = setting(True, "Close every port that is not allowed, containers' too.")
    firewall_allow: tuple[Rule, ...] = setting(
        (), 'What may come in, besides SSH: "80/tcp", "3000/tcp from 10.0.0.0/8", "8000:8100/tcp".'
    )
    firewall_confirm_s: int = setting(
        120,
        "A change is undone unless a fresh login confirms it in this time.",
        unit="s",
        ge=30,
        le=3600,
    )

    disk_min_free_gb: float = setting(
        20, "Free space where images, data and apps live.", unit="GB", ge=0
    )
    memory_min_gb: float = setting(8, "RAM of the host.", unit="GB", ge=0)

    apps: tuple[AppName, ...] = setting(
        (), "The apps that deploys/gpu_host.py releases here: apps/NAME.yaml, in this order."
    )
    app_batch: int = setting(
        1, "On how many hosts an app is released at a time; the first failure stops the rest.", ge=1
    )
    build_args: dict[BuildArgument, str] = setting(
        {},
        "Arguments of every image that is built here, where its Dockerfile declares them; what an "
        "app's own build.args say wins.",
    )
    build_apt_cache: Literal["auto"] | bool = setting(
        "auto",
        "apt inside builds goes through a cache on the host, which tries the mirrors in their "
        "order; `auto`: where apt_mirror names one.",
    )

    drift_directory: UnitPath | None = setting(
        None,
        "A host that checks the fleet for drift every night: its checkout, with the inventory and "
        "`.venv`; None: it does not.",
    )
    drift_inventory: RelativePath = setting(
        "inventory.py", "The inventory of the nightly check, in that directory."
    )
    drift_at: Calendar = setting(
        "04:00", "When it runs, by the host's clock and up to 20 minutes later."
    )
    drift_html: UnitPath | None = setting(
        None, "Where it writes its page; None: its journal and its history only."
    )
    drift_metrics: UnitPath | None = setting(
        None, "Where it writes metrics, in a directory that node_exporter reads; None: nowhere."
    )
    drift_ignore: tuple[Acceptance, ...] = setting(
        (), "Differences that are known: accepted until that day, and told all the same."
    )

    @model_validator(mode="after")
    def _possible_together(self) -> Settings:
        impossible = [
            (
                self.gpu == "none" and self.gpu_count is not None,
                'gpu_count needs gpu other than "none"',
            ),
            (self.gpu == "none" and self.cuda is not None, 'cuda needs gpu other than "none"'),
            (
                self.nvidia_reboot and self.nvidia_driver == "check",
                'nvidia_reboot=True needs nvidia_driver="install"',
            ),
            (
                isinstance(self.swap_size_gb, float) and self.swap_size_gb < 0,
                "swap_size_gb must not be negative",
            ),
            (
                self.apt_mirror_security and self.apt_mirror is None,
                "apt_mirror_security=True needs apt_mirror",
            ),
        ]
        for is_so, message in impossible:
            if is_so:
                raise ValueError(message)
        return self


def fields() -> dict[str, FieldInfo]:
    """Every setting by name, in the order of the reference page."""
    return dict(Settings.model_fields)


def nouns() -> list[str]:
    """The first word of every setting's name."""
    return sorted({name.partition("_")[0] for name in fields()})
