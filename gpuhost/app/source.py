"""source and registries: where build contexts and images come from."""

from __future__ import annotations

from pydantic import model_validator

from gpuhost.app.block import Block, SecretName


class Source(Block):
    """A git repository or a local directory; without either the app is images only."""

    git: str | None = None
    """URL of a repository: https://…, ssh://… or git@host:path."""
    ref: str = "HEAD"
    """Branch, tag or commit. A branch is resolved anew by every run."""
    deploy_key: SecretName | None = None
    """The secret that holds the private SSH key for the repository."""
    token: SecretName | None = None
    """The secret that holds a password or token for https."""
    user: str = "git"
    """The user name that goes with the token."""
    known_hosts: tuple[str, ...] = ()
    """Lines of known_hosts of its server; without any the key is taken at first sight."""
    directory: str | None = None
    """A directory where pyinfra runs, relative to the app file; .dockerignore is respected."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Source:
        if (self.git is None) == (self.directory is None):
            raise ValueError("give git or directory, one of them")
        if self.directory is not None and (self.deploy_key or self.token):
            raise ValueError("deploy_key and token go with git")
        return self


class Registry(Block):
    """A private registry to log in to before images are pulled."""

    user: str
    """User name."""
    password: SecretName
    """The secret that holds the password or token."""
