"""Old runners are removed, except those in use and those that were just delivered."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from gpuhost.runner.stages import runner_cleanup
from tests.runner.host_fixtures import App, app

__all__ = ["app"]


def runner(lib: Path, name: str, *, age_s: float) -> Path:
    lib.mkdir(exist_ok=True)
    file = lib / f"runner-{name}.pyz"
    file.touch()
    delivered = time.time() - age_s
    os.utime(file, (delivered, delivered))
    return file


def test_no_runner_is_removed_while_a_link_cannot_be_read(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = runner(app.paths.home.parent / "lib", "ours", age_s=9000)
    (app.paths.home / "runner.pyz").symlink_to("../lib/runner-ours.pyz")
    release = app.release()

    def readlink(path: Path) -> Path:
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(Path, "readlink", readlink)
    with pytest.raises(OSError, match="Input/output"):
        runner_cleanup.forget(release)
    assert used.exists()


def test_runners_that_no_app_uses_are_removed(app: App) -> None:
    apps = app.paths.home.parent
    lib = apps / "lib"
    runner(lib, "ours", age_s=9000)
    runner(lib, "others", age_s=9000)
    runner(lib, "older", age_s=90000)
    runner(lib, "just-come", age_s=60)
    (lib / "something.else").touch()
    runner(lib, "old", age_s=9000).rename(lib / ".runner-cut.pyz.Ab1")
    runner(lib, "old", age_s=9000)
    (apps / "another").mkdir()
    (app.paths.home / "runner.pyz").symlink_to("../lib/runner-ours.pyz")
    (apps / "another" / "runner.pyz").symlink_to("../lib/runner-others.pyz")
    release = app.release()
    runner_cleanup.forget(release)
    kept = {"runner-just-come.pyz", "runner-ours.pyz", "runner-others.pyz", "something.else"}
    assert {file.name for file in lib.iterdir()} == kept
    said = release.paths.log.read_text()
    assert "removed runner-old.pyz" in said
    assert "removed runner-older.pyz" in said
