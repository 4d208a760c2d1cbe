"""The wheel carries all that a run needs, and works from an empty directory."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]


def test_the_wheel_works_without_the_checkout(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, cwd=tmp_path, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    carried = zipfile.ZipFile(wheel).namelist()
    for source in ROOT.glob("gpuhost/**/*.sh"):
        assert str(source.relative_to(ROOT)) in carried
    for template in (ROOT / "templates").rglob("*.j2"):
        assert f"gpuhost/{template.relative_to(ROOT)}" in carried
    for app in (ROOT / "apps").glob("*.yaml"):
        assert f"gpuhost/apps/{app.name}" in carried
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    install = [*pip, "install", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, cwd=empty, timeout=300)
    program = (
        f"import sys; sys.path.insert(0, {str(site)!r}); import gpuhost.cli as cli; "
        f"assert cli.__file__.startswith({str(site)!r}), cli.__file__; "
        "from gpuhost.appfile.loading import find, load; load(find('z-pulse')); "
        "sys.argv = ['gpuhost', 'check', '@local', '--json']; cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=empty,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    (row,) = json.loads(done.stdout)["hosts"]
    assert row["host"] == "@local"
    assert len(row["findings"]) > 40
    assert list(empty.iterdir()) == []
