"""Secrets on the host: those that came along, those made here once, those made of others."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets as randomness
from collections.abc import Mapping
from pathlib import Path

from gpuhost.runner.data.safe_paths import open_directory
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import holds, write, write_json
from gpuhost.runner.plan import Secret
from gpuhost.runner.state.release import Release

REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def require(release: Release) -> None:
    """Every secret that has to be given is there; all that are missing are named at once.

    Raises Failure.
    """
    declared = release.plan.secrets
    known = {one.name for one in declared} | set(release.secrets)
    missing = [one.name for one in declared if _is_given(one) and one.name not in release.secrets]
    missing += [
        f"{name} (in {one.name})"
        for one in declared
        for name in REFERENCE.findall(one.value)
        if name not in known
    ]
    if missing:
        raise Failure(
            f"secrets are missing: {', '.join(missing)}",
            fix="give them where the app file says: environment, file or command",
        )


def draw(release: Release) -> None:
    """Have values for all that is to be made on this host; new ones are not kept yet."""
    kept = _read(release.app.generated)
    for one in release.plan.secrets:
        if one.generate is not None and one.name not in release.secrets:
            release.secrets[one.name] = kept[one.name] if one.name in kept else _random(one)
    release.log.mask(release.secrets.values())


def generate(release: Release) -> None:
    """Make what is to be made on this host and was not made before; it is kept ever after."""
    draw(release)
    kept = _read(release.app.generated)
    names = (one.name for one in release.plan.secrets if one.generate is not None)
    new = {name: release.secrets[name] for name in names if name not in kept}
    for name in new:
        release.log.write(f"secret {name}: made on this host")
    if new:
        write_json(release.app.generated, {**kept, **new}, mode=0o600)


def values(release: Release) -> dict[str, str]:
    """Every secret that the app declares, by name; values made of others are made here.

    Raises Failure.
    """
    require(release)
    lost = [
        one.name
        for one in release.plan.secrets
        if one.generate is not None and one.name not in release.secrets
    ]
    if lost:
        raise Failure(
            f"secrets that were made on this host are gone: {', '.join(lost)}",
            fix=f"put {release.app.generated} back, or release again: new ones are made",
        )
    declared = {one.name: one for one in release.plan.secrets}
    found = {name: _value(name, declared, release.secrets, ()) for name in declared}
    for name, value in found.items():
        if "\0" in value:
            raise Failure(f"secret {name} holds a NUL, which no environment or text file can")
    release.log.mask(found.values())
    return found


def place_files(release: Release) -> dict[str, int]:
    """Secrets that are given as files, 0600 and owned like the directory they lie in.

    Name to the time of the file's last change, nanoseconds: it changes only when the value does,
    and is the same when the release is restored.

    Raises Failure.
    """
    known = values(release)
    placed = {
        one.name: _place(release, one.name, one.path, known[one.name])
        for one in release.plan.secrets
        if one.path
    }
    if placed != release.record.secret_files:
        release.remember(secret_files=placed)
    return placed


def _place(release: Release, name: str, path: str, value: str) -> int:
    parent, file = str(Path(path).parent), Path(path).name
    try:
        with open_directory(release, parent, make=True) as handle:
            # The directory is named by its handle: nobody can put another in its place meanwhile.
            target = Path(f"/proc/self/fd/{handle}") / file
            if not holds(target, value, mode=0o600):
                write(target, value, mode=0o600)
                its = os.fstat(handle)
                os.chown(file, its.st_uid, its.st_gid, dir_fd=handle, follow_symlinks=False)
                if then := release.record.secret_files.get(name):
                    os.utime(file, ns=(then, then), dir_fd=handle, follow_symlinks=False)
                release.log.write(f"secret {name}: written to {path}")
            return target.lstat().st_mtime_ns
    except OSError as error:
        raise Failure(f"secret {name}: {path}: {error.strerror}") from None


def _value(
    name: str, declared: Mapping[str, Secret], known: Mapping[str, str], above: tuple[str, ...]
) -> str:
    if name in above:
        raise Failure(f"secrets are made of each other: {' -> '.join((*above, name))}")
    secret = declared.get(name)
    if secret is None or not secret.value:
        return known[name]
    # Not re.sub with a text: what is put in may look like a reference itself.
    return REFERENCE.sub(
        lambda found: _value(found[1], declared, known, (*above, name)), secret.value
    )


def _is_given(secret: Secret) -> bool:
    return secret.generate is None and not secret.value


def _random(secret: Secret) -> str:
    if secret.generate == "hex":
        return randomness.token_hex(secret.bytes)
    if secret.generate == "base64":
        return base64.b64encode(randomness.token_bytes(secret.bytes)).decode("ascii")
    raise Failure(f"secret {secret.name}: this runner cannot generate {secret.generate!r}")


def _read(path: Path) -> dict[str, str]:
    """Raises Failure: a file that cannot be read must not be written anew over its secrets."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Failure(f"{path} is damaged: it holds the secrets made on this host", fix="mend it")
    return {name: str(text) for name, text in value.items()}
