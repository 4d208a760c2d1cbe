"""Writes secrets.env: the values for ${NAME} in the user's Compose file.

The environment of Compose's process would be readable for every process of root.
"""

from __future__ import annotations

from collections.abc import Mapping

from gpuhost.runner.data import secrets
from gpuhost.runner.lib.files import keep
from gpuhost.runner.state.release import Release

# Compose reverts exactly these in double quotes. Single quotes cannot contain every backslash, and
# Compose would read a plain \r\n as \n.
ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "$": "$$", "\n": r"\n", "\r": r"\r"})


def write_env_file(release: Release) -> None:
    """Write secrets.env (0600) if the app has secrets, without internal ones.

    Raises Failure.
    """
    values = secrets.values(release)
    public = {s.name: values[s.name] for s in release.plan.secrets if not s.internal}
    if public:
        keep(release.paths.env, text(public), mode=0o600)


def text(values: Mapping[str, str]) -> str:
    """
    >>> text({"A": 'a "$"'})
    'A="a \\\\"$$\\\\""\\n'
    """
    return "".join(
        f'{name}="{value.translate(ESCAPED)}"\n' for name, value in sorted(values.items())
    )
