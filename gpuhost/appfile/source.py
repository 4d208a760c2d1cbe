"""source and registries: where build contexts and images come from."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from gpuhost.appfile.section import Line, SecretName, Section


def _without_login(url: str) -> str:
    # It would stand in plans, logs and process lists.
    address = url.partition("://")[2].partition("/")[0]
    if ":" in address.rpartition("@")[0] or (url.startswith("http") and "@" in address):
        raise ValueError("a URL without a password or token; give token, the name of a secret")
    return url


GitUrl = Annotated[
    str,
    Field(
        pattern=r"^(https?://|ssh://|[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:)[^\s\x00-\x1f]+$",
        title="https://…, ssh://… or git@host:path",
    ),
    AfterValidator(_without_login),
]
# The first character keeps it from being read as an option.
Ref = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./@+-]*$", title="a branch, tag or commit")
]


class Source(Section):
    """A git repository or a local directory; without either the app is images only."""

    git: GitUrl | None = None
    """URL of a repository: https://…, ssh://… or git@host:path."""
    ref: Ref = "HEAD"
    """Branch, tag or commit. A branch is resolved anew by every run."""
    deploy_key: SecretName | None = None
    """The secret that holds the private SSH key for the repository."""
    token: SecretName | None = None
    """The secret that holds a password or token for https."""
    user: Line = "git"
    """The user name that goes with the token."""
    known_hosts: tuple[Line, ...] = ()
    """Lines of known_hosts of its server; without any the key is taken at first sight."""
    directory: Annotated[Line, Field(min_length=1)] | None = None
    """A directory where pyinfra runs, relative to the app file; .dockerignore is respected."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Source:
        if (self.git is None) == (self.directory is None):
            raise ValueError("give git or directory, one of them")
        if self.directory is not None and (self.deploy_key or self.token):
            raise ValueError("deploy_key and token go with git")
        return self


class Registry(Section):
    """A private registry to log in to before images are pulled."""

    user: Line
    """User name."""
    password: SecretName
    """The secret that holds the password or token."""
