"""Paths in a source that no file has, or that nobody may follow."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpuhost.runner.lib import source_paths
from gpuhost.runner.lib.failure import Failure


def test_a_path_with_nul_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"not a path"):
        source_paths.read_text(tmp_path, tmp_path / "a\0b")
    with pytest.raises(Failure, match=r"not a path"):
        source_paths.leads_out(tmp_path, "a\0b")


def test_a_link_to_where_not_even_root_may_look_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mount of FUSE or NFS."""

    def refused(path: Path) -> str:
        raise PermissionError(13, "Permission denied", "/mnt/of-ada")

    monkeypatch.setattr(os.path, "realpath", refused)
    with pytest.raises(Failure, match=r"cannot be followed: '/mnt/of-ada': Perm") as failure:
        source_paths.leads_out(tmp_path, "a")
    assert "another path" in failure.value.fix
