"""The HTTP proxy on the host. What may hold a password is read as a hash or masked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gpuhost.domain import host_json
from gpuhost.domain.redact import mask_login
from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

PROXY_RECORD = "/var/lib/gpuhost/proxy.json"
CLIENT_FILE = "/root/.docker/config.json"
# The file also holds registry passwords: only a hash of our three keys leaves the host.
DIGEST = f"""import hashlib, json
proxies = json.load(open("{CLIENT_FILE}")).get("proxies", {{}}).get("default", {{}})
ours = {{key: proxies.get(key, "") for key in ("httpProxy", "httpsProxy", "noProxy")}}
print(hashlib.sha256(json.dumps(ours, sort_keys=True).encode()).hexdigest())"""
REQUEST = Request(
    files=(PROXY_RECORD,),
    probes=(
        ProbeCommand(
            "client_proxies", f"python3 -I -c '{DIGEST}'", only_if=f"[ -e {CLIENT_FILE} ]"
        ),
    ),
)


@dataclass(frozen=True)
class ClientProxy:
    """The proxy that root's Docker client passes to builds and containers.

    + digest: of the three proxy keys in config.json, None if the file does not exist
    + recorded: the digest of what gpuhost wrote last, None if it never did
    """

    digest: str | None
    recorded: str | None

    @classmethod
    def read(cls, probes: Probes) -> ClientProxy:
        if probes.output("identity").strip() != "0":
            raise NotRead("only root can read root's Docker configuration")
        digest = None
        if "client_proxies" in probes:
            digest = probes.output("client_proxies").strip()
        recorded = _json_object(probes.file(PROXY_RECORD) or "{}").get("client")
        return cls(digest, recorded if isinstance(recorded, str) else None)


@dataclass(frozen=True)
class EngineProxy:
    """The proxy of an engine, as `docker info` shows it; a login is masked.

    + http, https: URLs; "" for none
    + no_proxy: hosts that are reached without it, separated by commas
    """

    http: str
    https: str
    no_proxy: str

    def __str__(self) -> str:
        """For a person."""
        urls = [url for url in dict.fromkeys((self.http, self.https)) if url]
        if not urls:
            return "no proxy"
        return f"{' and '.join(urls)}, except for {self.no_proxy or 'nothing'}"

    @classmethod
    def running(cls, probes: Probes) -> EngineProxy | None:
        """The proxy of the running engine; None if no engine answers."""
        probe = probes.by_name.get("docker_info")
        if probe is None or probe.rc != 0:
            return None
        return _shown(probe.out)


# Two checks need it.
@lru_cache(maxsize=2)
def _shown(info_text: str) -> EngineProxy | None:
    info = _json_object(info_text)
    keys = ("HttpProxy", "HttpsProxy", "NoProxy")
    if not info.keys() & keys:
        return None
    http, https, no_proxy = (str(info.get(key) or "") for key in keys)
    # Docker masks a login itself, but not in a URL that it cannot parse.
    return EngineProxy(mask_login(http), mask_login(https), no_proxy)


def taken_from_engine(probes: Probes) -> int | None:
    """When gpuhost removed the proxy from the engine's unit, epoch seconds; None: never."""
    try:
        moment = _json_object(probes.file(PROXY_RECORD) or "{}").get("taken_from_engine")
    except NotRead:
        return None
    return moment if isinstance(moment, int) else None


def _json_object(text: str) -> dict[str, Any]:
    try:
        values = host_json.parse(text)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
