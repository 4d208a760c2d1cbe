"""The render stage: files for Compose, and the order in which they are written."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpuhost.runner.data import secrets
from gpuhost.runner.docker.compose import services_to_start
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Backup, Directory, Migrate, Secret
from gpuhost.runner.stages.render import render, write_host_files
from gpuhost.runner.state.journal import BEGIN, Journal
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import ME, NEW, OLD, App, Programs, app, programs

__all__ = ["app", "programs"]

# Of a service that declares none.
# What every service gets whose file does not say it.
ADDED = {
    "logging": {"driver": "json-file", "options": {"max-size": "20m", "max-file": "5"}},
    "restart": "on-failure",
}
SERVICES: dict[str, Any] = {"web": {}, "db": {}, "migrate": {}}
HOSTILE = (
    "plain",
    'it\'s "quoted"',
    "$HOME ${PATH} $$ $",
    "two\nlines\n",
    "naïve 漢字 🔑",
    "no",
    "22:22",
    "0x1F",
    "~",
    " spaces ",
    "\ttab",
    "back\\slash\\n",
    "# no comment",
    "next\u0085line\u2028and\u2029more",
    "del\x7f bell\x07",
    "\ufeffmark",
    "{json: [1]}",
    "!override",
)


def host_file(release: Release) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(release.paths.runs.read_text())["services"]
    return value


def prepare(release: Release) -> None:
    """Renders a release, and writes its files as before a start."""
    render(release)
    write_host_files(release)


def pinned(tag: str) -> dict[str, str]:
    """No registry has this tag, so Compose must not pull it, whatever the user's file declares."""
    return {"image": tag, "pull_policy": "never"}


def test_each_service_gets_its_secrets(app: App, programs: Programs) -> None:
    programs.compose(SERVICES)
    declared = (
        Secret("ALL"),
        Secret("SOME", services=("web", "elsewhere")),
        Secret("TOKEN", internal=True),
        Secret("FILE", path="key.pem", services=("db",)),
        Secret("MADE", services=("db",), generate="hex"),
    )
    given = {"ALL": "a", "SOME": "s", "TOKEN": "t", "FILE": "f"}
    release = app.release(secrets=declared, given=given)
    render(release)
    made = secrets.values(release)["MADE"]
    write_host_files(release)
    changed = str((app.paths.shared / "key.pem").stat().st_mtime_ns)
    assert host_file(release) == {
        "web": {"image": "app-web", "environment": {"ALL": "a", "SOME": "s"}, **ADDED},
        "db": {
            "image": "app-db",
            "environment": {"ALL": "a", "MADE": made},
            "labels": {"gpuhost.secret-files": changed},
            **ADDED,
        },
        "migrate": {"image": "app-migrate", "environment": {"ALL": "a"}, **ADDED},
    }
    assert stat.S_IMODE(release.paths.runs.stat().st_mode) == 0o600


def test_images_are_pinned_after_the_build(app: App, programs: Programs) -> None:
    programs.compose(SERVICES)
    release = app.release(migrate=Migrate("migrate"))
    render(release)
    assert host_file(release)["web"]["image"] == "app-web"
    tags = {"web": "gpuhost/app/web:aaaaaaaaaaaa", "gone": "gpuhost/app/gone:bbbbbbbbbbbb"}
    release.remember(tags=tags)
    write_host_files(release)
    assert host_file(release)["web"] == {**pinned("gpuhost/app/web:aaaaaaaaaaaa"), **ADDED}
    assert host_file(release)["db"] == {"image": "app-db", **ADDED}


@pytest.mark.parametrize("value", HOSTILE)
def test_any_value_is_valid_in_yaml(app: App, programs: Programs, value: str) -> None:
    """PyYAML reads the same as Compose's YAML parser; Compose then replaces $$ with $."""
    programs.compose({"web": {}})
    release = app.release(secrets=(Secret("A"),), given={"A": value})
    render(release)
    text = release.paths.runs.read_text()
    read = yaml.safe_load(text)["services"]["web"]["environment"]["A"]
    assert read == json.loads(text)["services"]["web"]["environment"]["A"]
    assert read.replace("$$", "$") == value
    assert read.count("$") == 2 * value.count("$")


def test_a_migration_in_an_inactive_profile_gets_image_and_secrets(
    app: App, programs: Programs
) -> None:
    programs.compose({"web": {}})
    hidden = {"migrate": {"profiles": ["tools"], "depends_on": {"db": {}}}, "db": {}}
    answer = json.dumps({"services": hidden, "volumes": {}})
    programs.answer("docker compose * config --format json migrate", answer)
    declared, given = (Secret("URL", services=("migrate",)),), {"URL": "u"}
    release = app.release(secrets=declared, given=given, migrate=Migrate("migrate"))
    release.remember(tags={"migrate": "gpuhost/app/migrate:aaaaaaaaaaaa"})
    render(release)
    image = pinned("gpuhost/app/migrate:aaaaaaaaaaaa")
    services = host_file(release)
    of_it = {"depends_on": {"db": {}}, "environment": {"URL": "u"}, "logging": ADDED["logging"]}
    expected = {**of_it, **image}
    assert services["migrate"] == expected
    assert set(services) == {"web", "migrate", "db"}
    assert "web" in services_to_start(release)
    assert "migrate" not in services_to_start(release)


def test_a_migration_that_the_files_do_not_have(app: App, programs: Programs) -> None:
    programs.compose({"web": {}})
    programs.answer("docker compose * json migrate", status=1, err="no such service: migrate\n")
    with pytest.raises(Failure, match="no such service: migrate") as raised:
        render(app.release(migrate=Migrate("migrate")))
    assert "migrate.service" in raised.value.fix


def test_a_second_render_writes_the_same(app: App, programs: Programs) -> None:
    programs.compose(SERVICES)
    declared = (Secret("A"), Secret("B", generate="hex"), Secret("F", path="certs/f"))
    release = app.release(secrets=declared, given={"A": "$", "F": "f"})
    prepare(release)
    first = release.paths.runs.read_text()
    prepare(release)
    assert release.paths.runs.read_text() == first


def test_files_of_the_running_app_change_only_when_it_is_replaced(
    app: App, programs: Programs
) -> None:
    programs.compose(SERVICES)
    data = app.data("data/kept", "its data").parent
    data.chmod(0o711)
    app.data("key.pem", "old")
    release = app.release(
        secrets=(Secret("F", path="key.pem"),),
        given={"F": "new"},
        directories=(Directory("data", ME, "0750"), Directory("more", ME)),
    )
    render(release)
    assert stat.S_IMODE(data.stat().st_mode) == 0o711
    assert (app.paths.shared / "key.pem").read_text() == "old"
    assert not (app.paths.shared / "more").exists()
    write_host_files(release)
    assert stat.S_IMODE(data.stat().st_mode) == 0o750
    assert (app.paths.shared / "key.pem").read_text() == "new"
    assert (app.paths.shared / "more").is_dir()


def test_on_a_full_disk_unchanged_files_are_not_written(
    app: App, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.compose(SERVICES)
    release = app.release(
        secrets=(Secret("A"), Secret("F", path="key.pem")),
        given={"A": "a", "F": "f"},
        directories=(Directory("data", ME),),
    )
    prepare(release)

    real = os.open

    def full(path: Any, flags: int, *more: Any, **how: Any) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, flags, *more, **how)

    monkeypatch.setattr(os, "open", full)
    write_host_files(Release.open(app.paths, NEW))
    with pytest.raises(OSError, match="No space left"):
        write_host_files(app.release(OLD, secrets=(Secret("A"),), given={"A": "other"}))


def test_no_secret_is_logged(app: App, programs: Programs) -> None:
    programs.compose(SERVICES)
    value = "planted-value"
    programs.answer("docker compose * config -q", err=f"invalid: {value}\n", status=1)
    release = app.release(secrets=(Secret("A"),), given={"A": value})
    with pytest.raises(Failure) as raised:
        render(release)
    assert raised.value.output == ("invalid: ***",)
    assert raised.value.fix
    assert value not in release.paths.log.read_text()
    assert not any(value in call for call in programs.calls)


def made_by_rendering(app: App, release: Release) -> list[str]:
    shared = sorted(path.name for path in app.paths.shared.glob("*"))
    other = (release.paths.runs, app.paths.generated, app.paths.files)
    return shared + [path.name for path in other if path.exists()]


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"secrets": (Secret("KEY"), Secret("OTHER"))}, "secrets are missing: KEY, OTHER"),
        ({"directories": (Directory("data", "nobody-here"),)}, "no user nobody-here"),
        ({"directories": (Directory("data", "0:no-such"),)}, "no group no-such"),
    ],
)
def test_an_impossible_plan_fails_before_anything_is_created(
    app: App, programs: Programs, plan: dict[str, Any], message: str
) -> None:
    programs.compose(SERVICES)
    release = app.release(**plan)
    with pytest.raises(Failure, match=message):
        render(release)
    assert made_by_rendering(app, release) == []


def test_an_error_of_compose_fails_before_anything_is_created(app: App, programs: Programs) -> None:
    programs.answer("docker compose * config *", status=15, err="services.web.ports is wrong\n")
    release = app.release(
        secrets=(Secret("A", generate="hex"),), directories=(Directory("data", ME),)
    )
    with pytest.raises(Failure) as raised:
        render(release)
    assert raised.value.output == ("services.web.ports is wrong",)
    assert made_by_rendering(app, release) == []


def test_an_invalid_schedule_is_refused(app: App, programs: Programs) -> None:
    programs.compose(SERVICES)
    programs.answer("systemd-analyze calendar *", status=1, err="Failed to parse: often\n")
    release = app.release(backup=Backup(paths=("data",), every="often"))
    with pytest.raises(Failure) as raised:
        render(release)
    assert "'often' is not a time that systemd accepts" in raised.value.said
    assert made_by_rendering(app, release) == []


def test_a_restored_release_has_its_own_secret_files(app: App, programs: Programs) -> None:
    programs.compose({"web": {}})
    declared = (Secret("KEY", path="key.pem"),)
    old = app.release(OLD, secrets=declared, given={"KEY": "old"})
    new = app.release(NEW, secrets=declared, given={"KEY": "new"})
    render(old)
    write_host_files(old)
    render(new)
    file: Path = app.paths.shared / "key.pem"
    assert file.read_text() == "old"
    write_host_files(new)
    label = host_file(new)["web"]["labels"]
    assert file.read_text() == "new"
    write_host_files(old)
    assert file.read_text() == "old"
    assert host_file(old)["web"]["labels"] != label


def _limited(cpus: object) -> dict[str, Any]:
    return {"deploy": {"resources": {"limits": {"cpus": cpus}}}}


def test_a_cpu_limit_above_the_number_of_cores_is_lowered(
    app: App, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise Docker refuses to start: "Range of CPUs is from 0.01 to 2.00"."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    sections = {"large": _limited(4), "text": _limited("2.5"), "fits": _limited(2), "half": {}}
    programs.compose({**sections, "memory": {"deploy": {"resources": {"limits": {"memory": "1"}}}}})
    release = app.release()
    render(release)
    services = host_file(release)
    assert services["large"]["deploy"] == _limited("2")["deploy"]
    assert services["text"]["deploy"] == _limited("2")["deploy"]
    assert services["fits"]["deploy"] == _limited(2)["deploy"]
    assert services["half"] == {"image": "app-half", **ADDED}


@pytest.mark.parametrize(
    ("begun", "is_asked"), [("build", True), ("migrate", False), ("up", False)]
)
def test_a_release_whose_containers_may_have_run_is_not_resolved_again(
    app: App, programs: Programs, begun: str, is_asked: bool
) -> None:
    """They can write to what they mount of the source: to its Compose files, say."""
    programs.compose({"web": {"image": "web:1"}})
    release = app.release()
    render(release)
    before = release.paths.resolved.read_text()
    Journal(release.paths.journal).note(BEGIN, begun)
    programs.answer("docker compose * config *", json.dumps({"services": {"web": {"image": "2"}}}))
    render(Release.open(app.paths, release.plan.id))
    assert (release.paths.resolved.read_text() == before) == (not is_asked)
