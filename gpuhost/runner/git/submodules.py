"""Checks out the submodules of a commit, and theirs.

Not with `git submodule update`: it checks out whatever an author has put there, of any size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gpuhost.runner.contract import GIT_ADDRESS
from gpuhost.runner.git.access import Logins
from gpuhost.runner.git.commands import Git
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.file_names import shown
from gpuhost.runner.lib.source_paths import through_link

MOST = 1000
LINK = "160000"
FIX = "correct .gitmodules in the repository"
ADDRESS_FIX = "give it an https or ssh address in .gitmodules"


@dataclass(frozen=True)
class _Submodule:
    home: Path
    path: str
    commit: str
    address: str


def check_out_submodules(git: Git, logins: Logins, top: Path, files: int) -> None:
    """+ files: in the checkout. Raises Failure."""
    count, todo = 0, [top]
    while todo:
        for one in _listed(git, todo.pop()):
            count += 1
            if count > MOST:
                raise Failure(f"the source has more than {MOST} submodules", fix="remove some")
            git.log.write(f"fetching the submodule {shown(one.home.relative_to(top))}")
            git.begin(one.home, one.address)
            name = f"the submodule {shown(one.path)}"
            environment = logins.to_submodule(one.address)
            git.fetch(one.home / ".git", one.address, one.commit, environment, name=name)
            files = git.check_out(one.home, one.commit, files)
            todo.append(one.home)


def _listed(git: Git, repository: Path) -> Iterator[_Submodule]:
    """Of one repository, without those that it does not update. Raises Failure."""
    if not (repository / ".gitmodules").exists():
        return
    here = ("-C", str(repository))
    # Git knows how to resolve relative addresses, and refuses dangerous ones.
    git.local("git submodule init", *here, "submodule", "--quiet", "init")
    own = _settings(git, *here, "config", "--local")
    # As it was committed. Git itself checks out none that is a link.
    paths = _settings(git, *here, "config", "--blob=HEAD:.gitmodules")
    by_path = {
        value: key.removesuffix(".path") for key, value in paths.items() if key.endswith(".path")
    }
    if len(by_path) > MOST:
        raise Failure(f"the source has more than {MOST} submodules", fix="remove some")
    for line in git.ask(*here, "ls-tree", "-z", "--full-tree", "--", "HEAD", *by_path).split("\0"):
        kind, _, path = line.partition("\t")
        section = by_path.get(path)
        if not kind.startswith(LINK) or section is None or own.get(f"{section}.update") == "none":
            continue
        if complaint := through_link(repository, path):
            raise Failure(f"the submodule {complaint}", fix=FIX)
        address = own.get(f"{section}.url", "")
        # Never of this host, and no command of a transport helper.
        if re.fullmatch(GIT_ADDRESS, address) is None:
            raise Failure(
                f"the submodule {shown(path)} has no http or ssh address", fix=ADDRESS_FIX
            )
        yield _Submodule(repository / path, path, kind.split()[2], address)


def _settings(git: Git, *words: str) -> dict[str, str]:
    """Of submodules: "submodule.NAME.path" to its value."""
    listed = git.ask(*words, "-z", "--get-regexp", r"^submodule\.")
    pairs = (entry.partition("\n") for entry in listed.split("\0") if entry)
    return {key: value for key, _, value in pairs}
