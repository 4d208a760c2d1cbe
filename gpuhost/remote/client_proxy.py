"""Sent to the host's python3 on stdin, with a call of one function as its last line.

`main` makes root's Docker client pass a proxy to builds and containers. Every other key of
config.json, such as registry passwords, stays. `taken_from_engine` only writes the record.
"""

import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

CONFIG = Path("/root/.docker/config.json")
RECORD = Path("/var/lib/gpuhost/proxy.json")


def write(path: Path, values: object) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(path.name + ".gpuhost-new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(json.dumps(values, indent="\t") + "\n")
    new.replace(path)


def as_object(values: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        sys.exit(f"{CONFIG} is not in Docker's format; nothing was changed")
    return values


def recorded() -> dict[str, Any]:
    try:
        record = json.loads(RECORD.read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def taken_from_engine() -> None:
    """Record that the engine's proxy was removed now: an engine that started earlier still uses it,
    and no other file shows that.
    """
    write(RECORD, {**recorded(), "taken_from_engine": int(time.time())})


def main(ours: dict[str, str]) -> None:
    """Merge the proxy's values into config.json, and record what gpuhost wrote.

    + ours: httpProxy, httpsProxy and noProxy; "" removes the value
    """
    config = as_object(json.loads(CONFIG.read_text()) if CONFIG.exists() else {})
    proxies = as_object(config.get("proxies", {}))
    default = as_object(proxies.get("default", {}))
    default = {key: value for key, value in {**default, **ours}.items() if value != ""}
    proxies = {key: value for key, value in {**proxies, "default": default}.items() if value}
    kept = {key: value for key, value in config.items() if key != "proxies"}
    write(CONFIG.resolve(), {**kept, "proxies": proxies} if proxies else kept)
    if any(ours.values()):
        digest = hashlib.sha256(json.dumps(ours, sort_keys=True).encode()).hexdigest()
        write(RECORD, {"client": digest})
        return
    rest = {key: value for key, value in recorded().items() if key != "client"}
    if rest:
        write(RECORD, rest)
    else:
        RECORD.unlink(missing_ok=True)
