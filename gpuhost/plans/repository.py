"""Whether apt has ever fetched a vendor's repository."""

from __future__ import annotations

from gpuhost.domain.apt.release_files import list_file
from gpuhost.domain.apt.repository import Repository
from gpuhost.snapshot import NotRead, Snapshot


def is_fetched(repository: Repository, snapshot: Snapshot) -> bool:
    """Whether apt's lists have its InRelease; False if the lists could not be read."""
    try:
        names = {release.file for release in snapshot.apt.releases}
    except NotRead:
        return False
    return list_file(repository.uri, repository.suite) in names
