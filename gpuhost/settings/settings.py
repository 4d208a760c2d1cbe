"""The declared state of a host: every setting, its type, default, unit and meaning.

This module is the source. ``group_data/all.py`` and ``docs/settings.md`` are generated from it
(``make docs``), and a test fails when they are stale.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo

from gpuhost.domain.apt.vendor_keys import DOCKER_KEY, TOOLKIT_KEY
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
    MigLayouts,
    ProxyException,
    ProxyUrl,
    RelativePath,
    Rule,
    ToolkitVersion,
    UnitPath,
    Url,
    is_plain_path,
)


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
        "auto", "Whether the host must have a GPU; `auto`: only if one is on the PCI bus."
    )
    gpu_count: int | None = setting(None, "How many GPUs must answer; None: any number.", ge=1)
    cuda: CudaVersion | None = setting(
        None, 'The CUDA version that the containers use, such as "12.1"; None: do not check.'
    )

    system_allow_unsupported: bool = setting(
        False, "Continue on a distribution or architecture that gpuhost does not support."
    )
    system_security_updates: bool = setting(
        True, "Install security updates automatically; never NVIDIA's or Docker's packages."
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
        None, "Mirror of the distribution's packages; None: the original sources."
    )
    apt_mirror_security: bool = setting(
        False, "Take security updates from the mirror too, although it may lag behind."
    )
    apt_mirror_candidates: tuple[ChinaMirror | Url, ...] = setting(
        ("aliyun", "tuna", "ustc"), "The mirrors that `auto` tries, in this order.", min_length=1
    )
    apt_mirror_max_age_days: int = setting(
        7, "`auto` refuses a mirror whose Release file is older.", unit="days", ge=1
    )
    apt_lock_timeout_s: int = setting(
        300,
        "How long each step waits for another apt or dpkg process to finish.",
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
        "Hold NVIDIA's packages at their version: an upgrade breaks running containers.",
    )
    nvidia_persistence: bool = setting(
        True, "Keep the driver loaded while no process uses the card."
    )

    nvidia_mig: MigLayouts = setting(
        {},
        'MIG devices of cards: by index or "all", {} switches MIG off; a card that is not named is '
        "left as it is.",
    )

    toolkit_mirror: Literal["nvidia", "ustc"] | Url = setting(
        "nvidia", "Repository of the NVIDIA Container Toolkit: NVIDIA's own or a mirror."
    )
    toolkit_version: ToolkitVersion | None = setting(
        None, 'The version of all toolkit packages, such as "1.20.0"; None: the newest.'
    )
    toolkit_key_fingerprint: Fingerprint = setting(
        TOOLKIT_KEY, "The key that must sign the toolkit's repository."
    )
    toolkit_key_file: str | None = setting(
        None, "A file on this machine with the key; None: the host downloads it from the mirror."
    )
    toolkit_test_image: ImageName | None = setting(
        None, "Image of the GPU test; None: an image that the host makes from its own C library."
    )

    docker_source: Literal["docker-ce", "distro", "present"] = setting(
        "docker-ce",
        "Docker's repository, the distribution's packages, or the engine already installed.",
    )
    docker_mirror: Literal["docker"] | ChinaMirror | Url = setting(
        "docker", "A mirror of Docker's repository."
    )
    docker_key_fingerprint: Fingerprint = setting(
        DOCKER_KEY, "The key that must sign Docker's repository."
    )
    docker_key_file: str | None = setting(
        None, "A file on this machine with the key; None: the host downloads it from the mirror."
    )
    docker_restart: Literal["idle", "always", "never"] = setting(
        "idle",
        "When the engine may be restarted, for a changed configuration or if it does not answer; "
        "`idle`: if no container stops.",
    )
    docker_registry_mirrors: tuple[Url, ...] = setting((), "Mirrors of Docker Hub, in order.")
    docker_log_max_size: LogSize = setting("10m", "A container's log is rotated at this size.")
    docker_log_max_file: int = setting(3, "How many rotated logs are kept.", ge=1)
    docker_address_pools: tuple[AddressPool, ...] = setting(
        (), 'Networks for containers, "10.200.0.0/16#24": /24 networks out of 10.200.0.0/16.'
    )
    docker_data_root: HostPath | None = setting(
        None, "Directory of images and volumes; None: the engine's default."
    )
    docker_live_restore: bool = setting(True, "Keep containers running while the engine restarts.")
    docker_cgroup_driver: Literal["cgroupfs", "systemd"] | None = setting(
        None,
        "What manages the containers' cgroups; None: what the engine chooses. See toolkit.reload.",
    )
    docker_features: dict[str, bool] = setting({}, "The engine's feature switches.")
    docker_min_memory_gb: float = setting(
        8,
        "Least memory for containers: RAM and swap, or the cgroup's limit if that is lower.",
        unit="GB",
        ge=0,
    )

    swap_size_gb: Literal["auto"] | float = setting(
        "auto",
        "Size of the swap file; 0: no swap file; `auto`: from RAM and free disk space.",
        unit="GB",
    )
    swap_path: Annotated[HostPath, AfterValidator(is_plain_path)] = setting(
        "/swapfile", "Path of the swap file."
    )
    swap_swappiness: int = setting(
        10, "`vm.swappiness`: how readily the kernel swaps.", ge=0, le=200
    )

    firewall_enabled: bool = setting(
        True, "Close every port that is not allowed, published ports of containers too."
    )
    firewall_allow: tuple[Rule, ...] = setting(
        (),
        'Incoming connections besides SSH: "80/tcp", "3000/tcp from 10.0.0.0/8", "8000:8100/tcp".',
    )
    firewall_confirm_s: int = setting(
        120,
        "A change is reverted unless a new login confirms it within this time.",
        unit="s",
        ge=30,
        le=3600,
    )

    disk_min_free_gb: float = setting(
        20, "Least free space on the disks of images, data and apps.", unit="GB", ge=0
    )
    memory_min_gb: float = setting(8, "Least RAM of the host.", unit="GB", ge=0)

    apps: tuple[AppName, ...] = setting(
        (), "The apps that deploys/gpu_host.py releases here: apps/NAME.yaml, in this order."
    )
    app_batch: int = setting(
        1,
        "How many hosts release an app at the same time; after a failure no further host starts.",
        ge=1,
    )
    build_args: dict[BuildArgument, str] = setting(
        {},
        "Build arguments of every image built here, if its Dockerfile declares them; an app's own "
        "build.args take precedence.",
    )
    build_apt_cache: Literal["auto"] | bool = setting(
        "auto",
        "apt inside builds uses a cache on the host, which tries the mirrors in order; `auto`: if "
        "apt_mirror is set.",
    )

    drift_directory: UnitPath | None = setting(
        None,
        "On the host that checks the fleet for drift every night: its checkout, with the inventory "
        "and `.venv`; None: no nightly check.",
    )
    drift_inventory: RelativePath = setting(
        "inventory.py", "The inventory of the nightly check, in that directory."
    )
    drift_at: Calendar = setting(
        "04:00",
        "When it starts, in the host's time zone; a random delay of up to 20 minutes is added.",
    )
    drift_html: UnitPath | None = setting(
        None, "Where it writes an HTML page; None: only its journal and history."
    )
    drift_metrics: UnitPath | None = setting(
        None, "Where it writes metrics, in a directory that node_exporter reads; None: no metrics."
    )
    drift_ignore: tuple[Acceptance, ...] = setting(
        (), "Known differences: accepted until that day, but still shown."
    )

    drift_watch: tuple[HostPath, ...] = setting(
        (),
        'More files whose change is told, with patterns: "/etc/myapp/*.conf". Those of sshd, sudo, '
        "cron, systemd and root's keys always are.",
    )

    @model_validator(mode="after")
    def _refuse_conflicts(self) -> Settings:
        conflicts = [
            (
                self.gpu == "none" and self.gpu_count is not None,
                'gpu_count needs gpu other than "none"',
            ),
            (
                self.gpu == "none" and bool(self.nvidia_mig),
                'nvidia_mig needs gpu other than "none"',
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
        for applies, message in conflicts:
            if applies:
                raise ValueError(message)
        return self


def fields() -> dict[str, FieldInfo]:
    """Every setting by name, in the order of the reference page."""
    return dict(Settings.model_fields)


def nouns() -> list[str]:
    """The first word of every setting's name."""
    return sorted({name.partition("_")[0] for name in fields()})
