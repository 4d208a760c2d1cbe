"""Secrets on the host: given with the release, generated once, or composed of others."""

from __future__ import annotations

import base64
import os
import re
import secrets as randomness
from collections.abc import Mapping
from pathlib import Path

from gpuhost.runner.data.safe_paths import open_directory
from gpuhost.runner.lib.failure import Failure, explained
from gpuhost.runner.lib.files import write_json
from gpuhost.runner.plan import Secret
from gpuhost.runner.state.release import Release

REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def require(release: Release) -> None:
    """Raises Failure with all missing secrets."""
    declared = release.plan.secrets
    known = {secret.name for secret in declared} | set(release.secrets)
    missing = [s.name for s in declared if _is_given(s) and s.name not in release.secrets]
    missing += [
        f"{name} (in {secret.name})"
        for secret in declared
        for name in REFERENCE.findall(secret.value)
        if name not in known
    ]
    if missing:
        raise Failure(
            f"secrets are missing: {', '.join(missing)}",
            fix="give them as the app file declares: by environment, file or command",
        )


def draw(release: Release) -> None:
    """Set a value for each generated secret; new values are not stored yet."""
    kept = release.generated()
    for secret in release.plan.secrets:
        name = secret.name
        if secret.generate is not None and name not in release.secrets:
            release.secrets[name] = kept[name] if name in kept else _random(secret)
    release.log.mask(release.secrets.values())


def generate(release: Release) -> None:
    """Generate the secrets that this host does not have yet, and store them for good."""
    draw(release)
    kept = release.generated()
    names = (s.name for s in release.plan.secrets if s.generate is not None)
    new = {name: release.secrets[name] for name in names if name not in kept}
    for name in new:
        release.log.write(f"secret {name}: generated on this host")
    if new:
        write_json(release.app.generated, {**kept, **new}, mode=0o600)


def values(release: Release) -> dict[str, str]:
    """All declared secrets by name, with composed values.

    Raises Failure.
    """
    require(release)
    lost = [
        secret.name
        for secret in release.plan.secrets
        if secret.generate is not None and secret.name not in release.secrets
    ]
    if lost:
        raise Failure(
            f"secrets that were generated on this host are missing: {', '.join(lost)}",
            fix=f"put {release.app.generated} back from a copy: data may be encrypted with them; "
            "if nothing needs them, release again, which generates new ones",
        )
    declared = {secret.name: secret for secret in release.plan.secrets}
    result = {name: _value(name, declared, release.secrets, ()) for name in declared}
    for name, value in result.items():
        if "\0" in value:
            raise Failure(
                f"secret {name} contains a NUL, which is not possible in an environment variable"
            )
    release.log.mask(result.values())
    return result


def place_files(release: Release) -> dict[str, int]:
    """Write secrets that are files: 0600, with the owner of their directory.

    Returns name to modification time in nanoseconds: it changes only if the value changes, and is
    the same if the release is restored.

    Raises Failure.
    """
    known = values(release)
    placed = {
        secret.name: _write_file(release, secret.name, secret.path, known[secret.name])
        for secret in release.plan.secrets
        if secret.path
    }
    if placed != release.record.secret_files:
        release.remember(secret_files=placed)
    return placed


def _write_file(release: Release, name: str, path: str, value: str) -> int:
    parent, file = str(Path(path).parent), Path(path).name
    with (
        explained(f"secret {name}: {path}"),
        open_directory(release, parent, make=True) as handle,
    ):
        content = value.encode()
        if not handle.holds(file, content, 0o600):
            state = handle.state()
            handle.replace(file, content, 0o600, (state.st_uid, state.st_gid))
            if time_ns := release.record.secret_files.get(name):
                times = (time_ns, time_ns)
                os.utime(file, ns=times, dir_fd=handle.number, follow_symlinks=False)
            release.log.write(f"secret {name}: written to {path}")
        placed = handle.look(file)
        return placed.st_mtime_ns if placed else 0


def _value(
    name: str, declared: Mapping[str, Secret], known: Mapping[str, str], above: tuple[str, ...]
) -> str:
    if name in above:
        raise Failure(f"secrets contain each other: {' -> '.join((*above, name))}")
    secret = declared.get(name)
    if secret is None or not secret.value:
        return known[name]
    # With a function: a value may look like a reference.
    return REFERENCE.sub(
        lambda match: _value(match[1], declared, known, (*above, name)), secret.value
    )


def _is_given(secret: Secret) -> bool:
    return secret.generate is None and not secret.value


def _random(secret: Secret) -> str:
    if secret.generate == "hex":
        return randomness.token_hex(secret.bytes)
    if secret.generate == "base64":
        return base64.b64encode(randomness.token_bytes(secret.bytes)).decode("ascii")
    raise Failure(f"secret {secret.name}: this runner cannot generate {secret.generate!r}")
