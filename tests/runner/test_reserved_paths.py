"""Which directories of a host an app may name: on the controller, and again where links lead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.contract import RESERVED, AppPaths, why_reserved
from gpuhost.runner.data import directories, path_walk
from gpuhost.runner.data.safe_paths import open_directory, require_allowed
from gpuhost.runner.lib import engine_data
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import write_json
from gpuhost.runner.plan import Backup, Directory, Logs, Nginx, Secret
from gpuhost.runner.stages.render import render, write_host_files
from tests.runner.host_fixtures import ME, OLD, App, Programs, app, as_resolved, programs

__all__ = ["app", "programs"]

SHARED = "/opt/gpuhost/tts/shared"


@pytest.mark.parametrize("directory", RESERVED)
def test_what_is_reserved_is_refused_with_everything_in_it_and_above_it(directory: str) -> None:
    for path in (directory, f"{directory}/inner/x", f"/{directory}//", str(Path(directory).parent)):
        assert why_reserved(path, SHARED), path
    assert why_reserved(f"{directory}-of-an-app", SHARED) == ""


@pytest.mark.parametrize(
    "path",
    ["/data", "/srv/tts", "/mnt/disk/models", "/opt/tts", "/home/ada/.cache/models", "/root/tts",
     "/var/lib/tts", "/var/lib/postgresql", "/var/log/tts", "/var/www", "/var/cache/tts",
     "/tmp/tts", "/home/ada/models", "/home/ada/.cache/huggingface", "/root/.ollama/models",
     "/srv/.hidden", "/var/log/tts.log", "/var/log/tts/auth.log", "/var/log/syslogs-of-tts",
     "/swapfiles", "/home/ada/tts/.config-of-tts", SHARED, f"{SHARED}/data", f"{SHARED}/etc"],
)  # fmt: skip
def test_what_apps_need_is_allowed(path: str) -> None:
    assert why_reserved(path, SHARED) == ""


@pytest.mark.parametrize(
    "path",
    ["/", "/srv", "/home", "/root", "/root/.ssh/keys", "/home/ada/.docker", "/srv/a\0b",
     "/srv/a\nb", f"{SHARED}/.gpuhost-restore-1", f"{SHARED}-2", "/opt/gpuhost/other/shared",
     "/opt/gpuhost/lib",
     "/srv/tts/.gpuhost-probe", f"{SHARED}/../releases",
     "/home/ada", "/home/ada/", "/home/ada/.bashrc", "/home/ada/.config/systemd/user",
     "/root/.netrc", "/root/.git-credentials", "/root/.profile", "/home/ada/.local/bin",
     "/root/tts/.ssh", "/var/lib/ufw", "/var/lib/netplan/x", "/var/lib/tailscale",
     "/var/lib/fail2ban", "/var/lib/AccountsService/users", "/var/lib/libvirt/images",
     "/var/lib/grub", "/var/log/auth.log", "/var/log/auth.log.1", "/var/log/syslog",
     "/var/log/syslog.2.gz", "/var/log/wtmp", "/var/log/kern.log-20260101", "/swapfile",
     "/swap.img", "/lost+found", "/lost+found/x", "/srv/disk/lost+found/x", "/vmlinuz"],
)  # fmt: skip
def test_what_others_need_is_refused(path: str) -> None:
    assert why_reserved(path, SHARED)


def links_to(target: str) -> Callable[[App], str]:
    def make(app: App) -> str:
        app.paths.shared.mkdir()
        (app.paths.shared / "data").symlink_to(target)
        return "data"

    return make


@pytest.mark.parametrize(
    "path",
    [
        links_to("/etc/gpuhost-test"),
        links_to("/var/lib/docker/volumes"),
        links_to("../releases"),
        links_to("/proc/self/root/etc"),
        lambda app: "/etc",
        lambda app: "a\0b",
        lambda app: "../releases",
        lambda app: str(app.paths.backups),
    ],
)
def test_the_host_refuses_what_is_reserved_also_behind_a_link(
    app: App, path: Callable[[App], str]
) -> None:
    release = app.release()
    app.paths.backups.mkdir()
    with pytest.raises(Failure) as raised, open_directory(release, path(app), make=True):
        pass
    assert raised.value.fix
    assert not Path("/etc/gpuhost-test").exists()


def test_the_engine_may_be_elsewhere(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "disk/docker").mkdir(parents=True)
    write_json(tmp_path / "daemon.json", {"data-root": str(tmp_path / "disk/docker")})
    monkeypatch.setattr(engine_data, "CONFIG", tmp_path / "daemon.json")
    release = app.release()
    for path in ("disk/docker/volumes", "disk"):
        with pytest.raises(Failure, match="reserved on this host"):
            require_allowed(release, str(tmp_path / path))
    require_allowed(release, str(tmp_path / "disk/other"))


def test_what_is_reserved_may_be_a_link_to_another_disk(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "disk/engine").mkdir(parents=True)
    (tmp_path / "var-lib-docker").symlink_to(tmp_path / "disk/engine")
    monkeypatch.setattr(path_walk, "RESERVED", {str(tmp_path / "var-lib-docker"): "the engine's"})
    release = app.release()
    for path in ("disk/engine/volumes", "disk"):
        with pytest.raises(Failure, match="reserved on this host"):
            require_allowed(release, str(tmp_path / path))
    require_allowed(release, str(tmp_path / "disk/other"))


def test_a_new_plan_that_names_them_is_refused_before_any_change(app: App) -> None:
    release = app.release(directories=(Directory("data", ME), Directory("/var/lib/dpkg/x")))
    with pytest.raises(Failure, match="/var/lib/dpkg is the system's"):
        directories.check(release)
    assert not app.paths.shared.exists()


@pytest.mark.parametrize(
    "plan",
    [
        {"logs": Logs(("/etc/*.log",))},
        {"backup": Backup(paths=("data", "/etc/tts"))},
        {"backup": Backup(sqlite=("/etc/tts.db",))},
        {"secrets": (Secret("A", path="../generated.json"),)},
        {"nginx": Nginx("container", "proxy", path="../nginx.json")},
        {"nginx": Nginx("container", "proxy", path="a", certificate_dir="../backups")},
    ],
)
def test_every_path_of_a_plan_is_checked(app: App, plan: dict[str, Any]) -> None:
    with pytest.raises(Failure):
        directories.check(app.release(**plan))


def test_an_old_release_whose_plan_names_them_can_be_activated_again(app: App) -> None:
    release = app.release(directories=(Directory("data", ME), Directory("/etc/tts-of-test", ME)))
    directories.make(release)
    assert (app.paths.shared / "data").is_dir()
    assert not Path("/etc/tts-of-test").exists()
    assert "/etc is the system's" in release.paths.log.read_text()


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("of_another_app", [False, True])
def test_a_link_in_what_a_container_mounts_is_not_followed(
    app: App, tmp_path: Path, read_only: bool, of_another_app: bool
) -> None:
    (tmp_path / "disk").mkdir()
    (app.data("models/inner/file").parent / "other").symlink_to(tmp_path / "disk")
    volume = {"type": "bind", "source": str(app.paths.shared / "models"), "read_only": read_only}
    other = App(AppPaths(tmp_path / "other")) if of_another_app else app
    as_resolved(other.release(OLD), {"web": {"volumes": [{**volume, "target": "/models"}]}})
    release = app.release()
    if read_only:
        with open_directory(release, "models/inner/other") as handle:
            assert handle.path == tmp_path / "disk"
        return
    with (
        pytest.raises(Failure, match="other is a link"),
        open_directory(release, "models/inner/other"),
    ):
        pass


def test_a_link_of_a_person_may_not_go_through_a_directory_of_a_container(
    app: App, tmp_path: Path
) -> None:
    (tmp_path / "disk/theirs/inner").mkdir(parents=True)
    (tmp_path / "disk/kept").mkdir()
    app.paths.shared.mkdir()
    (app.paths.shared / "data").symlink_to(tmp_path / "disk/theirs/inner")
    release = app.release(directories=(Directory(str(tmp_path / "disk/theirs"), ME),))
    with open_directory(release, "data") as handle:
        assert handle.path == tmp_path / "disk/theirs/inner"
    (tmp_path / "disk/theirs/inner").rmdir()
    (tmp_path / "disk/theirs/inner").symlink_to(tmp_path / "disk/kept")
    with pytest.raises(Failure, match="inner is a link"), open_directory(release, "data"):
        pass


def test_a_mount_that_the_app_made_a_link_does_not_spoil_the_links_of_others(
    app: App, tmp_path: Path
) -> None:
    other, top = App(AppPaths(tmp_path / "other")), tmp_path / "disk"
    (top / "models").mkdir(parents=True)
    (other.data("data/file").parent / "inner").symlink_to("/")
    binds = [
        {"type": "bind", "source": str(other.paths.shared / path), "target": f"/{path}"}
        for path in ("data", "data/inner")
    ]
    as_resolved(other.release(OLD), {"web": {"volumes": binds}})
    app.paths.shared.mkdir()
    (app.paths.shared / "models").symlink_to(top / "models")
    with open_directory(app.release(), "models") as handle:
        assert handle.path == top / "models"


def test_links_in_a_circle_end(app: App) -> None:
    app.paths.shared.mkdir()
    (app.paths.shared / "a").symlink_to("b")
    (app.paths.shared / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"), open_directory(app.release(), "a"):
        pass


@pytest.mark.parametrize(("target", "is_refused"), [("/etc", True), ("/", True), ("v1", False)])
def test_a_container_cannot_have_another_directory_mounted_by_a_link(
    app: App, programs: Programs, target: str, is_refused: bool
) -> None:
    data, home = app.data("data/v1/file").parent.parent, app.paths.home.with_name("home-of-ada")
    home.mkdir(mode=0o777)
    (home / "cache").symlink_to("/etc")
    (data / "current").symlink_to(target)
    binds = [
        {"type": "bind", "source": str(path), "target": f"/{path.name}"}
        for path in (data, data / "current", data / "missing", Path("/etc/hosts"))
    ]
    programs.compose({"web": {"volumes": binds}})
    release = app.release()
    for act in (render, write_host_files):
        if is_refused:
            with pytest.raises(Failure, match=r"web:/current: .*current is a link"):
                act(release)
        else:
            act(release)
