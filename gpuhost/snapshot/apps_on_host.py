"""Sent to the host as a probe: prints every app's releases as JSON. Standard library only.

It prints only what every reader of a report may see: of secrets a hash, of the log nothing. A
missing file is null, a file that is not JSON is {}. The files of a release are compared with its
fingerprint here, on the host. files_on_host.py is sent before it, in one program.
"""

import itertools
import json
import os
import pwd
import stat
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from gpuhost.snapshot.files_on_host import content, directory, look, parsed, run, sha256, small_json

MOST = 50
OF_THE_PLAN = ("by", "inputs", "project", "revision", "rollback_of")
NOT_OF_THE_RESULT = ("logs", "output")
OF_THE_MANIFEST = ("taken", "sequence")
OF_THE_HISTORY = ("id", "kind", "state", "ended")
OF_THE_CARDS = ("service", "vram_gb", "places")
OF_THE_SITE = ("where", "service", "certificate")
# Printed with their hashes: drift compares them with what the repository renders now.
RENDERED = ("compose.yaml", "nginx.conf")


def release(home: Path) -> dict[str, Any]:
    plan, result = small_json(home / "plan.json") or {}, small_json(home / "result.json")
    if result:
        result = {key: value for key, value in result.items() if key not in NOT_OF_THE_RESULT}
    return {"id": home.name, **{key: plan.get(key) for key in OF_THE_PLAN}, "result": result}


def hash_file(path: Path) -> dict[str, Any] | None:
    try:
        state = path.stat()
        digest = sha256(path, [])
    except OSError:
        return None
    try:
        owner = pwd.getpwuid(state.st_uid).pw_name
    except KeyError:
        owner = str(state.st_uid)
    return {"sha256": digest, "mode": f"{stat.S_IMODE(state.st_mode):04o}", "owner": owner}


def written_by_containers(current: Path, declared: Collection[str]) -> set[str]:
    """Directories of the host that are declared, or mounted by the current release."""
    services = ((small_json(current / "resolved.json") or {}).get("services") or {}).values()
    volumes = [volume for service in services for volume in service.get("volumes") or ()]
    bound = (one.get("source") for one in volumes if one.get("type") == "bind")
    return {*declared, *(os.path.normpath(str(path).replace("$$", "$")) for path in bound)} - {"/"}


def compare(path: str, seen: dict[str, Any], written: Collection[str]) -> dict[str, str]:
    """A file against its fingerprint: same, changed or missing; owner and mode then and now."""
    was = f"{seen.get('owner')} {seen.get('mode')}"
    try:
        status = look(Path(path), written)
        now = f"{status.st_uid}:{status.st_gid} {stat.S_IMODE(status.st_mode):04o}"
        # Reading a pipe would never end.
        regular = stat.S_ISREG(status.st_mode)
        digest = regular and sha256(Path(path), seen.get("keys") or [], written)
        same = digest == seen.get("sha256")
    except (FileNotFoundError, NotADirectoryError):
        return {"path": path, "state": "missing", "was": was, "now": ""}
    except (OSError, ValueError, AttributeError):
        same = False
    return {"path": path, "state": "same" if same else "changed", "was": was, "now": now}


def compare_directory(path: str, was: str, written: Collection[str]) -> dict[str, Any]:
    """A declared directory: owner and mode then and now; whether entries have the new owner too."""
    try:
        with directory(Path(path), written) as number:
            status = os.fstat(number)
            owner, inside = f"{status.st_uid}:{status.st_gid}", False
            if owner != was.split()[0]:
                with os.scandir(number) as entries:
                    some = itertools.islice(entries, MOST)
                    states = [entry.stat(follow_symlinks=False) for entry in some]
                inside = any(f"{one.st_uid}:{one.st_gid}" == owner for one in states)
    except (FileNotFoundError, NotADirectoryError):
        return {"path": path, "was": was, "now": "", "inside": False}
    now = f"{owner} {stat.S_IMODE(status.st_mode):04o}"
    return {"path": path, "was": was, "now": now, "inside": inside}


def runner_is_intact(link: Path) -> bool:
    """Whether its content has the hash in its name: backups run it as root."""
    file = link.resolve()
    digest = file.stem.rpartition("-")[2]
    return file.exists() and bool(digest) and sha256(file, []).startswith(digest)


def describe_site(home: Path, site: dict[str, Any]) -> dict[str, Any]:
    file = os.path.normpath(home / "shared" / str(site.get("path")))
    return {"file": file, **{key: site.get(key) for key in OF_THE_SITE}}


def certificate(
    home: Path, site: dict[str, Any], written: Collection[str]
) -> dict[str, Any] | None:
    if not site.get("certificate"):
        return None
    path = home / "shared" / str(site.get("certificate_dir")) / "fullchain.pem"
    found = {"path": str(path), "there": True}
    try:
        chain = content(path, written).decode("ascii", "ignore")
    except (FileNotFoundError, NotADirectoryError):
        return {"path": str(path), "there": False}
    except OSError as error:
        return {**found, "out": "", "said": str(error)}
    # Not its path: openssl would wait for a pipe that a container puts there.
    return {**found, **run("openssl", "x509", "-noout", "-startdate", "-enddate", stdin=chain)}


def exists(path: Path, written: Collection[str]) -> bool:
    try:
        look(path, written)
    except OSError:
        return False
    return True


def schedule(
    home: Path, declared: dict[str, Any], newest: float | None, written: Collection[str]
) -> dict[str, Any] | None:
    """When the backup after the newest was due, as systemd evaluates the declared calendar."""
    every = declared.get("every")
    if not every:
        return None
    timer = Path(f"/etc/systemd/system/gpuhost-backup-{home.name}.timer")
    base = newest if newest is not None else timer.stat().st_mtime if timer.exists() else None
    words = ("systemd-analyze", "calendar", f"--base-time=@{int(base or 0)}", "--", str(every))
    files = [*(declared.get("sqlite") or ()), *(declared.get("paths") or ())]
    return {
        "every": every,
        "limit_s": declared.get("limit_s"),
        "has_data": bool(declared.get("postgres"))
        or any(exists(home / "shared" / str(name), written) for name in files),
        **(run(*words) if base is not None else {"out": "", "said": "no timer"}),
    }


def last_of_history(path: Path) -> dict[str, Any] | None:
    try:
        value = parsed(content(path, is_end=True).splitlines()[-1])
        return {key: value.get(key) for key in OF_THE_HISTORY}
    except (OSError, ValueError, LookupError, AttributeError, RecursionError):
        return None


def details(home: Path, backups: list[dict[str, Any]]) -> dict[str, Any]:
    """The current release as it was verified, and as the host has it now."""
    current = home / "current"
    plan, record = (small_json(current / f"{name}.json") or {} for name in ("plan", "record"))
    kept = small_json(current / "fingerprint.json")
    files: dict[str, Any] = (kept or {}).get("files") or {}
    owned: dict[str, str] | None = (kept or {}).get("directories")
    written = written_by_containers(current, owned or ())
    site, backup = plan.get("nginx") or {}, plan.get("backup") or {}
    taken = [one["manifest"]["taken"] for one in backups if (one["manifest"] or {}).get("taken")]
    return {
        "kept": kept is not None,
        "images": record.get("images"),
        "tags": record.get("tags"),
        "services": (kept or {}).get("services"),
        "listens": (kept or {}).get("listens"),
        "files": [compare(path, seen, written) for path, seen in sorted(files.items())],
        "directories": None
        if owned is None
        else [compare_directory(path, was, written) for path, was in sorted(owned.items())],
        "runner_is_intact": runner_is_intact(home / "runner.pyz"),
        "rendered": {
            Path(path).name: seen.get("sha256")
            for path, seen in files.items()
            if Path(path).name in RENDERED and Path(path).parent.parent.name == "releases"
        },
        "start_s": (plan.get("verify") or {}).get("start_s"),
        "with_gpu": bool(plan.get("gpu")),
        "vram": [
            {key: one.get(key) for key in OF_THE_CARDS}
            for one in plan.get("gpu") or ()
            if one.get("vram_gb")
        ],
        "site": describe_site(home, site) if site else None,
        "certificate": certificate(home, site, written),
        "schedule": schedule(home, backup, next(iter(taken), None), written),
        "last": last_of_history(home / "history.jsonl"),
    }


def details_or_error(home: Path, backups: list[dict[str, Any]]) -> dict[str, Any]:
    """Invalid files of one app must not hide the other apps."""
    try:
        return details(home, backups)
    except Exception as error:
        return {"said": f"files of its release are not what gpuhost wrote: {type(error).__name__}"}


def by_name(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    entries = (entry for entry in directory.iterdir() if entry.is_dir() and entry.name[:1] != ".")
    return sorted(entries, key=lambda entry: entry.name)


def newest_first(directory: Path) -> list[Path]:
    return by_name(directory)[::-1][:MOST]


def releases_newest_first(directory: Path) -> list[Path]:
    """In the order in which they began: as state/releases.py of the runner."""
    numbers: dict[Path, int] = {}
    last = 0
    for home in by_name(directory):
        number = (small_json(home / "record.json") or {}).get("sequence")
        last = numbers[home] = number if type(number) is int and number > 0 else last
    return sorted(numbers, key=lambda home: (numbers[home], home.name), reverse=True)[:MOST]


def restoring(path: Path) -> dict[str, Any] | None:
    """The state of a restore that has not ended; {} if it cannot be read."""
    state = small_json(path)
    return state and {key: state.get(key) for key in ("backup", "step")}


def backups_of(home: Path) -> list[dict[str, Any]]:
    """The newest first."""
    backups = []
    for entry in (home / "backups").glob("[0-9]*"):
        if entry.is_dir():
            manifest = small_json(entry / "manifest.json")
            kept = {key: manifest.get(key) for key in OF_THE_MANIFEST} if manifest else manifest
            backups.append({"name": entry.name, "manifest": kept})
    return sorted(backups, key=backup_order, reverse=True)[:MOST]


def backup_order(backup: dict[str, Any]) -> tuple[int, str, int, str]:
    """By number, those of an earlier version by the time in their name: as stored.py of the runner.

    A clock that was ahead or behind changes no order.
    """
    sequence = (backup["manifest"] or {}).get("sequence")
    name = backup["name"]
    moment, _, number = name.partition(".")
    counted = sequence if type(sequence) is int and sequence > 0 else 0
    return (counted, moment[:15], int(number) if number.isdecimal() else 1, name)


def locked(path: Path, locks: str) -> bool:
    """Whether a process holds the lock. To try the lock could block a process that starts now."""
    try:
        file = path.stat()
    except OSError:
        return False
    # 1: FLOCK  ADVISORY  WRITE 4711 fd:01:131085 0 EOF
    held = (line.split() for line in locks.splitlines())
    places = (words[5].rpartition(":") for words in held if words[1:2] == ["FLOCK"] and words[5:])
    # btrfs and overlay have a device that the kernel does not name here.
    major, minor = os.major(file.st_dev), os.minor(file.st_dev)
    own = f"{major:02x}:{minor:02x}"
    return any(
        inode == str(file.st_ino) and (major == 0 or device == own) for device, _, inode in places
    )


def app(home: Path, locks: str) -> dict[str, Any]:
    current, runner = home / "current", home / "runner.pyz"
    backups = backups_of(home)
    return {
        "name": home.name,
        "current": current.readlink().name if current.is_symlink() else None,
        "runner": runner.readlink().name if runner.is_symlink() and runner.exists() else None,
        "given": hash_file(current / "given.json"),
        "locked": locked(home / "lock", locks),
        "attempt": small_json(home / "attempt.json"),
        "restoring": restoring(home / "restore" / "state.json"),
        "releases": [release(entry) for entry in releases_newest_first(home / "releases")],
        "backups": backups,
        "details": details_or_error(home, backups) if current.exists() else None,
    }


def main(root: Path) -> None:
    homes = sorted(entry for entry in root.iterdir() if (entry / "releases").is_dir())
    runners = sorted(
        (root / "lib").glob("runner-*.pyz"), key=lambda file: file.stat().st_mtime, reverse=True
    )
    locks = Path("/proc/locks").read_text(encoding="ascii", errors="replace")
    apps = [app(home, locks) for home in homes]
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    names = [file.name for file in runners]
    print(json.dumps({"apps": apps, "runners": names, "booted": int(booted)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
