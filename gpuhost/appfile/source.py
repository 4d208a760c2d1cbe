"""source and registries: where build contexts and images come from."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from gpuhost.appfile.section import Line, SecretName, Section, SourcePath
from gpuhost.runner.contract import GIT_ADDRESS


def _without_login(url: str) -> str:
    # A login would appear in plans, logs and process lists.
    address = url.partition("://")[2].partition("/")[0]
    if ":" in address.rpartition("@")[0] or (url.startswith("http") and "@" in address):
        raise ValueError("must not contain a password or token; set token to the name of a secret")
    return url


GitUrl = Annotated[
    str,
    Field(
        pattern=f"^{GIT_ADDRESS}$",
        title="https://…, ssh://… or git@host:path",
    ),
    AfterValidator(_without_login),
]
# The first character must not make it look like an option.
Ref = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./@+-]*$", title="a branch, tag or commit")
]


Reason = Annotated[
    str,
    Field(pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$", title="a sentence"),
]


class Edit(Section):
    """A replacement in a file of the source, on the host; UTF-8 text, and a $ is written $$."""

    file: SourcePath
    """The file, relative to the source."""
    find: Annotated[str, Field(min_length=1)]
    """The text to replace; it must occur exactly once, else the release ends in `source`."""
    replace: str
    """The new text; "" removes what was found."""
    reason: Reason
    """Why: the plan, the log and a failure show it."""

    @model_validator(mode="after")
    def _changes_something(self) -> Edit:
        if self.find == self.replace:
            raise ValueError("find and replace are the same; remove the edit")
        return self


class Source(Section):
    """A git repository or a local directory."""

    git: GitUrl | None = None
    """URL of a repository: https://…, ssh://… or git@host:path."""
    ref: Ref = "HEAD"
    """Branch, tag or commit; a branch is resolved again by every run."""
    deploy_key: SecretName | None = None
    """The secret with the private SSH key for the repository."""
    token: SecretName | None = None
    """The secret with the password or token for https."""
    user: Line = "git"
    """User name for the token."""
    known_hosts: tuple[Line, ...] = ()
    """The server's lines of known_hosts; default: trust its key on first use."""
    directory: Annotated[Line, Field(min_length=1)] | None = None
    """A directory where pyinfra runs, relative to the app file; .dockerignore applies."""
    overlay: Annotated[Line, Field(min_length=1)] | None = None
    """A directory beside the app file, whose files are added to the source or replace its own."""
    edits: tuple[Edit, ...] = ()
    """Replacements in files of the source, after the overlay, in this order."""

    @model_validator(mode="after")
    def _one_origin(self) -> Source:
        if (self.git is None) == (self.directory is None):
            raise ValueError("give either git or directory")
        if self.directory is not None and (self.deploy_key or self.token):
            raise ValueError("deploy_key and token are for git")
        return self


class Registry(Section):
    """A private registry to log in to before images are pulled."""

    user: Line
    """User name."""
    password: SecretName
    """The secret with the password or token."""
