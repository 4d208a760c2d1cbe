"""What files of a repository reach of another app: a real Compose, asked as the runner does."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Source
from gpuhost.runner.resolved import asking, hidden_paths
from gpuhost.runner.resolved.asking import ask_compose
from gpuhost.runner.state.release import Release
from tests.compose.on_host import put_docker
from tests.lab.compose_binaries import RELEASES
from tests.runner.host_fixtures import App, app

__all__ = ["app"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can hide a directory"),
]
SECRET = "of-another-app"
WEB = "services: {{web: {{image: 'a:1'%s}}}}\n"
# The Compose file; {file}: of the other app, {coded}: its path in Base64.
WAYS = {
    "include": "include: ['{file}']\n" + WEB % "",
    "encoded include": "include: [!!binary '{coded}']\n" + WEB % "",
    "link": "include: [l0]\n" + WEB % "",
    "extends": WEB % ", extends: {{file: '{file}', service: other}}",
    "env_file": WEB % ", env_file: '/{file}.env'",
    "label_file": WEB % ", label_file: '{file}.env'",
    "through the runner": WEB % ", env_file: '/proc/{pid}/root{file}.env'",
}


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("way", WAYS)
def test_no_file_of_another_app_is_read(
    app: App,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    binaries: dict[str, Path],
    way: str,
    release: str,
) -> None:
    file = tmp_path / "apps/other/compose.json"
    file.parent.mkdir(parents=True)
    other = {"image": "b", "environment": [f"A={SECRET}"], "labels": [f"A={SECRET}"]}
    file.write_text(json.dumps({"services": {"other": other}}))
    file.with_name("compose.json.env").write_text(f"A={SECRET}\n")
    put_docker(monkeypatch, tmp_path / "bin", binaries[release])
    asked = _release(app, WAYS[way], file)
    if (way, release) != ("label_file", "trixie"):  # which is too old for it
        with monkeypatch.context() as unhidden:
            unhidden.setattr(asking, "hiding", lambda _, words: words)
            assert SECRET in str(ask_compose(asked).model)
    monkeypatch.setattr(hidden_paths, "APPS", tmp_path / "apps")
    with pytest.raises(Failure) as failed:
        ask_compose(asked)
    assert SECRET not in f"{failed.value}{asked.paths.log.read_text()}"


def _release(app: App, text: str, file: Path) -> Release:
    release = app.release(compose=("compose.yaml",), source=Source("archive", "r"))
    release.source.mkdir()
    coded = base64.b64encode(str(file).encode()).decode()
    written = text.format(file=file, coded=coded, pid=os.getpid())
    (release.source / "compose.yaml").write_text(written)
    for number in range(20):
        (release.source / f"l{number}").symlink_to(f"l{number + 1}" if number < 19 else file)
    return release
