"""An overlay beside the app file: packed whole, part of the inputs, and named before a release."""

from __future__ import annotations

import io
import json
import os
import tarfile
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyinfra.api import State

from gpuhost.appfile.loading import load
from gpuhost.drift.apps import AppFiles
from gpuhost.release import resolved_app
from gpuhost.release.archive import BadDirectory
from gpuhost.release.overlay import Overlay, read_overlay
from gpuhost.release.resolved_app import ResolvedApp, resolve_app
from gpuhost.rollout.draft import Draft, draft_release
from gpuhost.runner.plan import Edit
from gpuhost.runner.plan import load as load_plan
from gpuhost.settings import Settings
from tests.recorded import snapshot_of

COMMIT = "5" * 40
GIT = {"git": "https://git.example.invalid/tts.git", "ref": COMMIT}
EDIT = {"file": "app.py", "find": "$${A}\n", "replace": "b", "reason": "no health route"}
WEB = {"web": {"image": "web:1", "build": "."}}


@pytest.fixture
def apps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory apps/ of a user, with a source and an overlay."""
    monkeypatch.chdir(tmp_path)
    directory = tmp_path / "apps"
    for name in ("source/app.py", "tts.overlay/frontend/lib/api.ts", "tts.overlay/app.py"):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(name)
    return directory


def write_app(place: Path, **source: Any) -> Path:
    path = place / "tts.yaml"
    path.write_text(yaml.safe_dump({"x-gpuhost": {"source": source}, "services": WEB}))
    return path


def overlay_of(place: Path, overlay: str = "tts.overlay") -> Overlay:
    found = read_overlay(load(write_app(place, directory="source", overlay=overlay)))
    assert found
    return found


def refusal(directory: Path, overlay: str) -> str:
    with pytest.raises(BadDirectory) as caught:
        overlay_of(directory, overlay)
    return str(caught.value)


def members(content: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(content)) as opened:
        return {member.name: member for member in opened.getmembers()}


def test_every_written_file_is_packed(apps: Path) -> None:
    """Also what a .dockerignore of the source excludes; not what pip compiles in a wheel."""
    overlay = apps / "tts.overlay"
    before = overlay_of(apps)
    for name in ("__pycache__/app.cpython-311.pyc", "frontend/__pycache__/x.pyc", ".git/HEAD"):
        (overlay / name).parent.mkdir(exist_ok=True)
        (overlay / name).write_text("made")
    assert overlay_of(apps) == before
    (overlay / ".dockerignore").write_text("*\n")
    (overlay / "run.sh").write_text("")
    (overlay / "run.sh").chmod(0o700)
    found = overlay_of(apps)
    files = (".dockerignore", "app.py", "frontend/lib/api.ts", "run.sh")
    assert found.files == files
    assert set(members(found.content)) == {*files, "frontend", "frontend/lib"}
    assert members(found.content)["run.sh"].mode == 0o755


def test_the_same_files_have_the_same_revision(apps: Path, tmp_path: Path) -> None:
    first = overlay_of(apps)
    (apps / "tts.overlay").rename(tmp_path / "moved")
    for path in (tmp_path / "moved").rglob("*"):
        os.utime(path, (1, 1))
    assert overlay_of(apps, "../moved") == first
    (tmp_path / "moved" / "app.py").write_text("other")
    assert overlay_of(apps, "../moved").revision != first.revision


def test_overlays_that_cannot_be_used(apps: Path) -> None:
    (apps / "empty" / "more").mkdir(parents=True)
    (apps / "linked").mkdir()
    (apps / "linked" / "x").symlink_to("../source/app.py")
    beside = "is not a directory on this machine; it is relative to the app file"
    assert refusal(apps, "nothing") == f"source.overlay {apps}/nothing {beside}"
    assert refusal(apps, "source/app.py") == f"source.overlay {apps}/source/app.py {beside}"
    assert refusal(apps, "empty").endswith("empty has no files; add some, or remove the key")
    for directory in (".", "..", str(apps)):
        said = refusal(apps, directory)
        assert "contains the app file itself; name a directory for the overlay alone" in said
        assert said.endswith("such as tts.overlay")
    assert refusal(apps, "linked") == (
        "source.overlay: the link x points outside, to ../source/app.py, which the host does not "
        "have; replace it by what it points to, or remove it"
    )


def test_an_app_without_an_overlay(apps: Path) -> None:
    assert read_overlay(load(write_app(apps, directory="source"))) is None


def resolved(place: Path, **source: Any) -> ResolvedApp:
    write_app(place, **source)
    return resolve_app(State(), "tts")


def draft(place: Path, **source: Any) -> Draft:
    return draft_release(
        resolved(place, **source),
        snapshot_of({"host": "debian13-docker"}),
        Settings(adopt=True),
    )


@pytest.mark.parametrize("origin", [GIT, {"directory": "source"}], ids=["git", "directory"])
def test_the_plan_has_the_overlay_and_the_edits(apps: Path, origin: dict[str, str]) -> None:
    plain = draft(apps, **origin).plan.source
    assert plain and (plain.overlay, plain.edits) == ("", ())
    both = draft(apps, **origin, overlay="tts.overlay", edits=[EDIT])
    assert both.plan.source
    assert both.plan.source.overlay == overlay_of(apps).revision
    # A $ is doubled in the file, as everywhere in a Compose file.
    assert both.plan.source.edits == (Edit("app.py", "${A}\n", "b", "no health route"),)
    (apps / "plan.json").write_text(both.plan.text())
    assert load_plan(apps / "plan.json") == both.plan


def test_a_plan_without_them_is_as_before(apps: Path) -> None:
    """No host has to release again for a new gpuhost."""
    stored = json.loads(draft(apps, **GIT).plan.text())["source"]
    assert not {"overlay", "edits"} & {*stored}


def test_another_overlay_is_another_release(apps: Path) -> None:
    first = draft(apps, **GIT, overlay="tts.overlay").plan.inputs
    assert draft(apps, **GIT, overlay="tts.overlay").plan.inputs == first
    (apps / "tts.overlay/app.py").write_text("other")
    assert draft(apps, **GIT, overlay="tts.overlay").plan.inputs != first


def test_it_is_sent_with_the_release(apps: Path) -> None:
    made = draft(apps, **GIT, overlay="tts.overlay")
    sent = made.start_request(snapshot_of({"host": "debian13-docker"})).bundle
    assert sent is not None
    content = b"".join(b64decode(line) for line in sent.lines())
    with tarfile.open(fileobj=io.BytesIO(content)) as opened:
        archive = opened.extractfile("release/overlay.tar.gz")
        assert archive is not None
        assert set(members(archive.read())) >= {"app.py", "frontend/lib/api.ts"}
        assert "release/source.tar.gz" not in opened.getnames()


def test_the_sentence_of_a_release_names_them(apps: Path) -> None:
    more = {**EDIT, "file": "b.py", "reason": "SQLAlchemy 2 needs text()"}
    said = draft(apps, **GIT, overlay="tts.overlay", edits=[EDIT, more]).sentence
    assert said.endswith(
        "; services: web; overlay: 2 files (app.py, frontend/lib/api.ts); "
        "edits: app.py: no health route, b.py: SQLAlchemy 2 needs text()"
    )
    for number in range(3):
        (apps / f"tts.overlay/{number}").touch()
    assert "; overlay: 5 files (0, 1, 2, …)" in draft(apps, **GIT, overlay="tts.overlay").sentence
    (apps / "one").mkdir()
    (apps / "one" / os.fsdecode(b"\xff")).touch()
    assert r"; overlay: 1 file (\xff)" in draft(apps, **GIT, overlay="one").sentence
    assert draft(apps, **GIT).sentence.endswith("; services: web")


def test_a_missing_overlay_refuses_the_release(apps: Path) -> None:
    found = resolved(apps, **GIT, overlay="gone")
    assert found.source is None
    assert found.errors == (
        "source.overlay apps/gone is not a directory on this machine; it is relative to the app "
        "file",
    )


def test_a_packaged_app_has_its_overlay(
    apps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is relative to the app file, wherever that was found."""
    write_app(apps, **GIT, overlay="tts.overlay")
    packaged = tmp_path / "installed"
    apps.rename(packaged)
    monkeypatch.setattr("gpuhost.appfile.loading.PACKAGED", packaged)
    found = resolve_app(State(), "tts").source
    assert found and found.overlay
    assert found.overlay.files == ("app.py", "frontend/lib/api.ts")
    assert resolved_app.find("tts").parent == packaged


def test_drift_reads_the_overlay_too(apps: Path) -> None:
    """Of a branch, too, whose revision only its server knows."""
    write_app(apps, **{**GIT, "ref": "main"}, overlay="tts.overlay")
    file = AppFiles()("tts")
    assert (file.revision, file.overlay) == (None, overlay_of(apps).revision)
    write_app(apps, **GIT, overlay="gone")
    assert AppFiles()("tts").errors[0].startswith("source.overlay apps/gone is not a directory")


@pytest.mark.parametrize("overlay", ["/etc", "/", "/proc/self", "/opt/gpuhost"])
def test_an_overlay_is_not_a_directory_of_the_system(apps: Path, overlay: str) -> None:
    app = load(write_app(apps, directory="source", overlay=overlay))
    with pytest.raises(BadDirectory, match="name a directory for the overlay alone"):
        read_overlay(app)
