"""The proof that containers get the GPUs: the result of the last test.

A reading never starts a container. The host keeps the result, and the versions at the test: if one
of them changes, the test must be repeated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from gpuhost.domain import host_json
from gpuhost.domain.toolkit.config import CONFIG
from gpuhost.domain.toolkit.cuda_answer import CudaAnswer, parse_answer

RECORD = "/var/lib/gpuhost/toolkit.json"
OWN_IMAGE = "gpuhost/gpu-test"
# Of toolkit_prove.sh: raise it when the image is made in another way.
RECIPE = 1
# Keys of daemon.json that decide how a container gets its GPUs; the others may change. The runtime
# nvidia is gpuhost's own: docker.config reports it.
ENGINE_KEYS = (
    *("runtimes", "default-runtime", "features", "cdi-spec-dirs", "exec-opts", "cgroup-parent"),
    *("userns-remap", "selinux-enabled", "no-new-privileges", "seccomp-profile"),
    "default-cgroupns-mode",
)
# Hashes, which the record has to be compared with; their names for a person.
HASHES = {"config": CONFIG, "settings": "the engine's configuration"}


@dataclass(frozen=True)
class Circumstances:
    """What a proof depends on.

    + driver: the loaded kernel module
    + toolkit: package version
    + engine: as `docker info` has it
    + image: which the test ran in
    + config, settings: hashes of the toolkit's configuration and of the engine's; "" in the record
      of an older gpuhost
    """

    driver: str
    toolkit: str
    engine: str
    image: str
    config: str = ""
    settings: str = ""

    def differences(self, other: Circumstances) -> list[str]:
        """What has changed: "driver 535.183.01, now 550.54.14".

        Our own image is named after the C library, which gets automatic security updates:
        that does not concern a GPU. A hash that was not recorded is no difference.
        """
        before, after = vars(self), vars(other)
        changed = [k for k in before if before[k] != after[k] and (k not in HASHES or before[k])]
        if all(image.startswith(f"{OWN_IMAGE}:") for image in (self.image, other.image)):
            changed = [k for k in changed if k != "image"]
        hashes = [HASHES[k] for k in changed if k in HASHES]
        return [f"{k} {before[k]}, now {after[k]}" for k in changed if k not in HASHES] + hashes

    @property
    def is_complete(self) -> bool:
        return all(getattr(self, k) for k in HASHES)


@dataclass(frozen=True)
class Proof:
    """One test.

    + gpus: how many cards nvidia-smi listed in the container
    + time: epoch seconds
    + failure: the message of docker or nvidia-smi; empty if the container got the GPUs
    + host, container: what CUDA answered there; None: an older gpuhost made the test, or the
      container did not start
    """

    circumstances: Circumstances
    gpus: int
    time: int
    failure: str
    host: CudaAnswer | None = None
    container: CudaAnswer | None = None


def parse(record: str) -> Proof | None:
    """The proof that the host keeps; None if it is not one."""
    try:
        values = host_json.parse(record)
        return Proof(
            Circumstances(
                *(str(values[k]) for k in ("driver", "toolkit", "engine", "image")),
                **{k: str(values.get(k, "")) for k in HASHES},
            ),
            gpus=int(values["gpus"]),
            time=int(values["time"]),
            failure=str(values["failure"]),
            host=_answer(values.get("cuda_host")),
            container=_answer(values.get("cuda_container")),
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None


def _answer(output: object) -> CudaAnswer | None:
    return parse_answer(output) if isinstance(output, str) and output else None


def hash_of(*values: object) -> str:
    """Of values that JSON can have."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=True)
    return sha256(text.encode()).hexdigest()[:16]


def engine_settings(daemon_json: Mapping[str, Any]) -> dict[str, Any]:
    """The part of daemon.json that a proof depends on."""
    kept = {key: daemon_json[key] for key in ENGINE_KEYS if key in daemon_json}
    if isinstance(runtimes := kept.pop("runtimes", None), dict):
        kept |= {f"runtimes.{name}": each for name, each in runtimes.items() if name != "nvidia"}
    return kept


def image_for(declared: str | None, libc: str) -> str:
    """The image that the test runs in: the declared one, or one made of the host's C library.

    + declared: `toolkit_test_image`
    + libc: package version; another one makes another image
    """
    return declared or f"{OWN_IMAGE}:{re.sub(r'[^A-Za-z0-9_.-]', '-', libc)[:100]}-r{RECIPE}"
