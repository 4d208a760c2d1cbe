"""Sent to the host as a probe: every app's releases, as one JSON object. Standard library only.

Of what a release keeps it takes what may be seen by anyone who may read a report: of the secrets
only a hash, of the log nothing. Files that are not there are null, files that are not JSON are {}.
"""

import hashlib
import json
import pwd
import stat
import sys
from pathlib import Path
from typing import Any

LARGEST = 1 << 20
MOST = 50
OF_THE_PLAN = ("by", "inputs", "project", "revision", "rollback_of")
NOT_OF_THE_RESULT = ("logs", "output")


def small_json(path: Path) -> dict[str, Any] | None:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            value = json.loads(file.read(LARGEST))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def release(home: Path) -> dict[str, Any]:
    plan, result = small_json(home / "plan.json") or {}, small_json(home / "result.json")
    if result:
        result = {key: value for key, value in result.items() if key not in NOT_OF_THE_RESULT}
    return {"id": home.name, **{key: plan.get(key) for key in OF_THE_PLAN}, "result": result}


def hashed(path: Path) -> dict[str, Any] | None:
    try:
        state = path.stat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None
    try:
        owner = pwd.getpwuid(state.st_uid).pw_name
    except KeyError:
        owner = str(state.st_uid)
    return {"sha256": digest, "mode": f"{stat.S_IMODE(state.st_mode):04o}", "owner": owner}


def newest_first(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    entries = (entry for entry in directory.iterdir() if entry.is_dir() and entry.name[:1] != ".")
    return sorted(entries, key=lambda entry: entry.name, reverse=True)[:MOST]


def locked(path: Path, locks: str) -> bool:
    """Whether somebody holds the lock; to try it would keep it from whoever begins just now."""
    try:
        inode = str(path.stat().st_ino)
    except FileNotFoundError:
        return False
    # 1: FLOCK  ADVISORY  WRITE 4711 fd:01:131085 0 EOF
    held = (line.split() for line in locks.splitlines())
    return any(
        words[1:2] == ["FLOCK"] and words[5:6] and words[5].rpartition(":")[2] == inode
        for words in held
    )


def app(home: Path, locks: str) -> dict[str, Any]:
    current, runner = home / "current", home / "runner.pyz"
    return {
        "name": home.name,
        "current": current.resolve().name if current.is_symlink() else None,
        "runner": runner.resolve().name if runner.exists() else None,
        "given": hashed(current / "given.json"),
        "locked": locked(home / "lock", locks),
        "attempt": small_json(home / "attempt.json"),
        "releases": [release(entry) for entry in newest_first(home / "releases")],
        "backups": [
            {"name": entry.name, "manifest": small_json(entry / "manifest.json")}
            for entry in newest_first(home / "backups")
        ],
    }


def main(root: Path) -> None:
    homes = sorted(entry for entry in root.iterdir() if (entry / "releases").is_dir())
    runners = sorted(
        (root / "lib").glob("runner-*.pyz"), key=lambda file: file.stat().st_mtime, reverse=True
    )
    locks = Path("/proc/locks").read_text(encoding="ascii", errors="replace")
    apps = [app(home, locks) for home in homes]
    print(json.dumps({"apps": apps, "runners": [file.name for file in runners]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
