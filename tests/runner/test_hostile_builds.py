"""What builds read and write: nothing that is not of the app."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpuhost.runner.contract import reserved_paths
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Source
from gpuhost.runner.resolved.path_facts import Use
from gpuhost.runner.stages.build import build
from gpuhost.runner.stages.render import render
from tests.runner.host_fixtures import App, Programs, app, as_resolved, programs
from tests.runner.repositories import isolated_host, repository

__all__ = ["app", "isolated_host", "programs", "repository"]

OF_THE_HOST = "FROM of-the-host:1\n"


@pytest.mark.parametrize("name", ["dockerfile", "dockerfile.dockerignore", "Dockerfile"])
def test_a_build_follows_no_link_out_that_an_earlier_attempt_left(
    app: App, programs: Programs, tmp_path: Path, name: str
) -> None:
    """Its containers may have had the source, and a release that failed is tried again."""
    release = app.release(source=Source("archive", "r"))
    release.source.mkdir()
    as_resolved(release, {"web": {"build": {"context": str(release.source)}}})
    (tmp_path / "of-the-host").write_text(OF_THE_HOST)
    (release.source / name).symlink_to(tmp_path / "of-the-host")
    with pytest.raises(Failure, match=f"^{name} is a link that leads out of the source"):
        build(release)
    assert not [call for call in programs.calls if " build" in call]


@pytest.mark.parametrize(
    "build",
    [
        {"context": "/opt/gpuhost/other"},
        {"context": "//opt/gpuhost/other/"},
        {"context": "/"},
        {"context": "LINK"},
        {"context": ".", "dockerfile": "/etc/ssh/key"},
        {"context": ".", "additional_contexts": {"x": "/var/lib/docker/volumes"}},
        {"context": ".", "ssh": ["default=/root/.ssh/id_ed25519"]},
        {"context": ".", "cache_from": ["type=local,src=/opt/gpuhost/other/shared"]},
        {"context": ".", "cache_to": ["type=local,dest=/var/lib/gpuhost"]},
        {"context": "/srv/x", "dockerfile": "../../etc/shadow"},
        {"context": "/x,y/../etc/ssh"},
        {"context": ".", "cache_from": ["type=local,src=var/lib/docker"]},
        {"context": ".", "cache_to": ["type=local,dest=/etc/cron.d"]},
        {"context": ".", "cache_to": [" Dest=etc/cron.d,TYPE=local"]},
        {"context": ".", "cache_to": ["type=local,dest=../../usr/local/bin"]},
        {"context": ".", "cache_to": ["type=local,dest=/root"]},
        {"context": ".", "ssh": ["default=root/.ssh/id,/srv/agent"]},
        {"context": ".", "ssh": {"deploy": "/home/ada/.ssh/id"}},
        {"context": ".", "additional_contexts": {"x": "oci-layout:///var/lib/docker/x:tag"}},
        {"context": "/root/.docker"},
        {"context": "/proc/1/root/srv"},
        {"context": ".", "dockerfile": "/home/ada/.netrc"},
        {"context": ".", "secrets": [{"source": "key"}]},
    ],
    ids=str,
)
def test_a_build_reads_nothing_that_is_not_the_apps(
    app: App, programs: Programs, tmp_path: Path, build: dict[str, object]
) -> None:
    (tmp_path / "link").symlink_to("/opt/gpuhost/other")
    if build["context"] == "LINK":
        build = {"context": str(tmp_path / "link")}
    model = {"services": {"web": {"build": build}}, "secrets": {"key": {"file": "/etc/shadow"}}}
    programs.answer("docker compose * json", json.dumps(model))
    release = app.release(source=Source("archive", "r"))
    release.source.mkdir()
    with pytest.raises(Failure, match=r"^web: build (reads|writes) .*: .* is ") as failed:
        render(release)
    assert "name a path of the source" in failed.value.fix


@pytest.mark.parametrize(
    "entry", ['type=local,"src=/root/.ssh"', "type=local2,src=/x", "src=/root/.ssh"]
)
def test_a_cache_that_is_not_understood_is_refused(
    app: App, programs: Programs, entry: str
) -> None:
    programs.compose({"web": {"build": {"context": ".", "cache_from": [entry]}}})
    release = app.release(source=Source("archive", "r"))
    release.source.mkdir()
    with pytest.raises(Failure, match=r"^web: build.cache_from: .*: gpuhost does not know"):
        render(release)


@pytest.mark.parametrize(
    "build",
    [
        {"cache_from": ["type=registry,ref=x.invalid/cache", "x.invalid/cache", "type=gha"]},
        {"cache_to": ["type=local,dest=/tmp/.buildx-cache,mode=max", "type=inline"]},
        {"ssh": ["default"], "secrets": [{"source": "of-the-app"}]},
        {"additional_contexts": {"x": "docker-image://alpine", "y": "https://x.invalid/y.git"}},
    ],
    ids=str,
)
def test_caches_and_secrets_of_the_app_are_built_with(
    app: App, programs: Programs, build: dict[str, object]
) -> None:
    file = app.data("key", "k")
    services = {"web": {"build": {"context": ".", **build}}}
    model = {"services": services, "secrets": {"of-the-app": {"file": str(file)}}}
    programs.compose(services)
    programs.answer("docker compose * json", json.dumps(model))
    release = app.release(source=Source("archive", "r"))
    release.source.mkdir()
    render(release)
    assert release.paths.resolved.exists()


@pytest.mark.parametrize(
    "path", ["/srv/model", "SHARED/model", "SOURCE", "https://x.invalid/y.git"]
)
def test_a_build_reads_the_apps_paths(
    app: App, programs: Programs, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setitem(reserved_paths.SECRET, str(app.paths.home), "gpuhost's own")
    release = app.release(source=Source("archive", "r"))
    release.source.mkdir()
    path = path.replace("SHARED", str(app.paths.shared)).replace("SOURCE", str(release.source))
    programs.compose({"web": {"build": {"context": path}}})
    render(release)
    assert release.paths.resolved.exists()


def test_two_slashes_name_the_same_path() -> None:
    for path in ("/opt/gpuhost/other", "//opt/gpuhost/other", "///opt//gpuhost/x/../other/"):
        assert Use({"source": path}, "source", "bind", "web").path == "/opt/gpuhost/other"
