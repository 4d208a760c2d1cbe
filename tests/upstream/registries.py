"""How this machine's pip and npm reach their registries, for builds in an image.

The settings are read when the images are made, and written nowhere else.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from pip._internal.models.index import PyPI

from tests.lab.process import run
from tests.upstream.torchaudio import torchaudio_without_cuda

PLACE = "/usr/local/share/upstream"
BUNDLE = f"{PLACE}/ca.crt"
WHEELS = f"{PLACE}/wheels"
CONSTRAINTS = f"{PLACE}/constraints.txt"
# Variables with a file of certificate authorities, for the clients that builds use.
CA_NAMES = (
    *("PIP_CERT", "NODE_EXTRA_CA_CERTS", "npm_config_cafile", "SSL_CERT_FILE"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"),
)
PROXIES = ("http_proxy", "https_proxy", "no_proxy")
MACHINE_CA = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True)
class Registries:
    """The settings as environment, and the files that they name.

    + files: content by path in the image
    """

    environment: dict[str, str] = field(default_factory=dict, repr=False)
    files: dict[str, bytes] = field(default_factory=dict, repr=False)


def read() -> Registries:
    """The settings of this machine."""
    found = Registries()
    for name in PROXIES:
        value = os.environ.get(name) or os.environ.get(name.upper())
        if value:
            found.environment[name] = found.environment[name.upper()] = value
    _pip(found)
    _npm(found)
    if MACHINE_CA.exists():
        found.files[BUNDLE] = MACHINE_CA.read_bytes()
        found.environment.update(dict.fromkeys(CA_NAMES, BUNDLE))
    return found


def _pip(found: Registries) -> None:
    listed = run(["pip", "config", "list"], timeout=60).stdout
    settings = dict(re.findall(r"^[^.]+\.([a-z-]+)='(.*)'$", listed, re.MULTILINE))
    # Dockerfiles set indexes of their own, which an explicit setting overrides.
    settings.setdefault("index-url", PyPI.simple_url)
    for name in ("index-url", "trusted-host", "proxy", "timeout", "default-timeout"):
        if name in settings:
            found.environment[f"PIP_{name.upper().replace('-', '_')}"] = settings[name]
    extra = [url for url in settings.get("extra-index-url", "").split() if "://" in url]
    if remote := [url for url in extra if not url.startswith("file:")]:
        found.environment["PIP_EXTRA_INDEX_URL"] = " ".join(remote)
    for link in settings.get("find-links", "").split():
        for wheel in sorted(Path(link.removeprefix("file://")).glob("*.whl")):
            _add_wheel(found, wheel.name, wheel.read_bytes())


def _add_wheel(found: Registries, name: str, content: bytes) -> None:
    """A wheel that pip prefers; those without CUDA are the only ones that it may take."""
    found.files[f"{WHEELS}/{name}"] = content
    found.environment["PIP_FIND_LINKS"] = WHEELS
    package, version = name.split("-")[:2]
    if version.endswith("+cpu"):
        before = found.files.get(CONSTRAINTS, b"")
        found.files[CONSTRAINTS] = before + f"{package}=={version}\n".encode()
        found.environment["PIP_CONSTRAINT"] = CONSTRAINTS
        if package == "torch":
            _add_wheel(found, *torchaudio_without_cuda())


def _npm(found: Registries) -> None:
    for name in ("registry", "proxy", "https-proxy", "noproxy", "strict-ssl"):
        value = run(["npm", "config", "get", name], timeout=60, check=False).stdout.strip()
        if value not in ("", "null", "undefined"):
            found.environment[f"npm_config_{name.replace('-', '_')}"] = value
    # Lock files name mirrors that this machine may not reach.
    found.environment["npm_config_replace_registry_host"] = "always"
    found.environment["npm_config_nodedir"] = "/usr/local"
    found.environment["npm_config_update_notifier"] = "false"
