"""Secrets as a Compose env file has them: what ${NAME} in the user's own file stands for.

Not the environment of Compose's process, which every process of root can read.
"""

from __future__ import annotations

from collections.abc import Mapping

from gpuhost.runner.data import secrets
from gpuhost.runner.lib.files import keep
from gpuhost.runner.state.release import Release

# In double quotes Compose undoes these and nothing else: single quotes cannot hold every backslash,
# and \r\n as it stands would be read as \n.
ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "$": "$$", "\n": r"\n", "\r": r"\r"})


def write_env_file(release: Release) -> None:
    """secrets.env (0600), if the app has secrets; those that no service gets are not in it.

    Raises Failure.
    """
    values = secrets.values(release)
    seen = {one.name: values[one.name] for one in release.plan.secrets if not one.internal}
    if seen:
        keep(release.paths.env, text(seen), mode=0o600)


def text(values: Mapping[str, str]) -> str:
    """
    >>> text({"A": 'a "$"'})
    'A="a \\\\"$$\\\\""\\n'
    """
    return "".join(
        f'{name}="{value.translate(ESCAPED)}"\n' for name, value in sorted(values.items())
    )
