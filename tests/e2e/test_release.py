"""Releases and rollbacks of an app with a card, a SQLite database, a migration and nginx."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.app_host import ready_for_apps
from tests.e2e.drifting import drift
from tests.e2e.releasing import SECRETS, App, ask
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost

pytestmark = pytest.mark.lab
NAME = "english-listening-trainer"
# Commands that search the journal, processes and files of the host for a pattern. The 0600 files of
# secrets are excluded, and what belongs to the app's own containers: their processes, which have
# another PID namespace, and containerd's files about them.
SEARCHES = {
    "journal": "journalctl --no-pager -o cat | grep -aF -f /run/gpuhost-pattern",
    "processes": "ps -eww -o pidns=,pid=,args= e | grep \"^ *$(ps -o pidns= -p 1 | tr -d ' ') \""
    " | grep -aF -f /run/gpuhost-pattern",
    "containers": "docker ps -aq | xargs -n 1 docker logs 2>&1 | grep -aF -f /run/gpuhost-pattern",
    "files": "find /opt/gpuhost /tmp /var/tmp /var/log /run /etc /root -xdev "
    "-path /run/containerd -prune -o -type f "
    "-not -name given.json -not -name generated.json -not -name secrets.env "
    "-not -name compose.json -not -name resolved.json -not -name gpuhost-pattern "
    "-exec grep -laF -f /run/gpuhost-pattern {} +",
}


@pytest.fixture(scope="module")
def host(hosts: Hosts) -> LabHost:
    return ready_for_apps(hosts, "app-spine")


@pytest.fixture(scope="module")
def app(host: LabHost, tmp_path_factory: pytest.TempPathFactory) -> App:
    """The app, released once and verified."""
    made = App(NAME, tmp_path_factory.mktemp("project"))
    made.write(revision=1)
    ended = made.run(host)
    assert ended.status == 0, ended.output
    return made


@pytest.fixture
def good(app: App, host: LabHost) -> str:
    """The current release before the test."""
    assert ask(host, "/api/health") is not None
    return app.current(host)


def test_the_first_release_runs_as_declared(app: App, host: LabHost) -> None:
    assert ask(host, "/api/health")["revision"] == 1
    seen = host.run(f"stat -c '%a %u:%g' {app.home('shared/data')}").stdout
    assert seen == "750 1001:1001\n"
    running = json.loads(host.run(f"docker inspect {NAME}-app-1").stdout)[0]
    assert running["HostConfig"]["DeviceRequests"][0]["Capabilities"] == [["gpu"]]
    assert running["HostConfig"]["PortBindings"]["3000/tcp"][0]["HostIp"] == "127.0.0.1"
    assert running["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    assert running["HostConfig"]["Memory"] == 8 * 1024**3
    # What verify made is kept.
    assert host.run(f"ls {app.home('shared/public/audio')}").stdout.startswith("tts_audio_")
    shipped = (app.project / "apps" / f"{NAME}.yaml").read_text()
    assert host.run(f"cat {app.home('current/compose.yaml')}").stdout == shipped


def test_nginx_answers_with_tls_and_redirects_http(app: App, host: LabHost) -> None:
    plain = host.run("curl -sS -o /dev/null -w '%{http_code} %{redirect_url}' http://localhost/x")
    assert plain.stdout == "301 https://localhost/x"
    secure = host.run("curl -sSk https://localhost/api/health")
    assert json.loads(secure.stdout)["status"] == "healthy"


def test_secrets_arrive_unchanged_and_generated_ones_are_kept(app: App, host: LabHost) -> None:
    lengths = ask(host, "/environment")
    assert lengths["CEREBRAS_API_KEY"] == len(SECRETS["CEREBRAS_API_KEY"])
    assert lengths["JWT_SECRET"] == 64
    # The migration has it, and the app does not.
    assert "ADMIN_PASSWORD" not in lengths
    administrator = [SECRETS["ADMIN_EMAIL"], len(SECRETS["ADMIN_PASSWORD"])]
    assert ask(host, "/administrators") == [administrator]
    modes = host.run(
        f"stat -c '%a %U' {app.home('generated.json')} {app.home('current/given.json')}"
    )
    assert modes.stdout == "600 root\n600 root\n"


def test_the_same_again_changes_nothing(app: App, host: LabHost, good: str) -> None:
    started = host.run(f"docker inspect -f '{{{{.State.StartedAt}}}}' {NAME}-app-1").stdout
    again = app.run(host)
    assert again.changed_nothing, again.output
    assert app.current(host) == good
    assert host.run(f"docker inspect -f '{{{{.State.StartedAt}}}}' {NAME}-app-1").stdout == started


# As systemd's daemon-reload leaves it: the stand-in's nvidia-smi fails in this container only.
LOSE_THE_CARD = (
    f"cd /proc/$(docker inspect -f '{{{{.State.Pid}}}}' {NAME}-app-1)/root/lab/card/smi && "
    "printf '255\nFailed to initialize NVML: Unknown Error\n' >failure"
)


@pytest.mark.matrix
def test_a_running_container_that_lost_its_card_is_found_and_recreated(
    app: App, host: LabHost, good: str
) -> None:
    def look() -> dict[str, str]:
        found = drift(host, project=app.project, apps=[NAME]).wrong
        return {id: cause for id, cause in found.items() if id.startswith("app.")}

    id_before = host.run(f"docker inspect -f '{{{{.Id}}}}' {NAME}-app-1").stdout
    usual = look()
    host.run(LOSE_THE_CARD)
    assert look() == {**usual, f"app.{NAME}.cards": "drift"}
    dry = app.run(host, options=("--dry",))
    assert f"app.{NAME}.cards: {NAME}-app-1 cannot use its cards any more" in dry.output
    ended = app.run(host)
    assert ended.status == 0, ended.output
    log = host.run(f"cat {app.home('current/log')}").stdout
    assert "app: its containers are replaced: they lost their cards" in log
    assert host.run(f"docker inspect -f '{{{{.Id}}}}' {NAME}-app-1").stdout != id_before
    assert "Tesla P40" in host.run(f"docker exec {NAME}-app-1 nvidia-smi -L").stdout
    assert look() == usual
    assert app.run(host).changed_nothing


def test_a_dry_run_shows_the_release_and_changes_nothing(
    app: App, host: LabHost, good: str
) -> None:
    app.write(revision="dry")
    before = host.run("ls -R /opt/gpuhost | grep -v '^total' | sha256sum").stdout
    dry = app.run(host, options=("--dry",))
    assert dry.status == 0, dry.output
    assert f"Release {NAME}" in dry.output
    assert host.run("ls -R /opt/gpuhost | grep -v '^total' | sha256sum").stdout == before


def test_data_survives_releases_and_a_rollback(app: App, host: LabHost, good: str) -> None:
    rows = [*ask(host, "/rows"), "written before"]
    ask(host, "/rows", post="written before")
    for revision in ("two", "three"):
        app.write(revision=revision)
        ended = app.run(host)
        assert ended.status == 0, ended.output
        assert ask(host, "/api/health")["revision"] == revision
        assert ask(host, "/rows") == rows
    back = app.run(host, deploy="rollback.py")
    assert back.status == 0, back.output
    assert ask(host, "/api/health")["revision"] == "two"
    assert ask(host, "/rows") == rows
    assert app.result(host)["kind"] == "rollback"


def test_a_release_whose_function_fails_is_rolled_back(app: App, host: LabHost, good: str) -> None:
    before = ask(host, "/api/health")
    app.write(revision="bad", broken="function")
    ended = app.run(host)
    assert ended.status == 1, ended.output
    assert "synthesis failed: no such voice af_heart" in ended.output
    assert good in ended.output
    result = app.result(host)
    assert (result["state"], result["stage"], result["restored"]) == ("restored", "verify", good)
    assert ask(host, "/api/health") == before
    assert app.current(host) == good
    assert host.run(f"ls {app.home('backups')}/*/manifest.json").stdout


def test_a_failed_migration_causes_no_downtime(app: App, host: LabHost, good: str) -> None:
    started = host.run(f"docker inspect -f '{{{{.State.StartedAt}}}}' {NAME}-app-1").stdout
    app.write(revision="bad", broken="migrate")
    ended = app.run(host)
    assert ended.status == 1
    assert "P3009 migrate found failed migrations" in ended.output
    assert "/backups/" in ended.output
    assert app.current(host) == good
    assert host.run(f"docker inspect -f '{{{{.State.StartedAt}}}}' {NAME}-app-1").stdout == started


def test_missing_and_default_secrets_are_all_reported_before_a_change(
    app: App, host: LabHost, good: str
) -> None:
    app.write(revision="secrets")
    attempts = host.run(f"ls {app.home('releases')} | wc -l").stdout
    app.environment = {"ADMIN_PASSWORD": "ChangeThisPassword123!", "CEREBRAS_API_KEY": ""}
    try:
        ended = app.run(host)
    finally:
        app.environment = dict(SECRETS)
    assert ended.status == 1
    for name in ("ADMIN_PASSWORD", "CEREBRAS_API_KEY", "ADMIN_EMAIL"):
        assert name in ended.output
    assert "ChangeThisPassword123!" not in ended.output
    assert host.run(f"ls {app.home('releases')} | wc -l").stdout == attempts


def test_a_changed_secret_is_a_new_release(app: App, host: LabHost, good: str) -> None:
    app.environment = {**SECRETS, "CEREBRAS_API_KEY": "csk-planted-other-key"}
    app.write(revision="secret")
    assert app.run(host).status == 0
    app.environment = dict(SECRETS)
    ended = app.run(host)
    assert ended.status == 0
    assert not ended.changed_nothing
    assert ask(host, "/environment")["CEREBRAS_API_KEY"] == len(SECRETS["CEREBRAS_API_KEY"])


def test_secrets_are_only_in_their_own_files(
    app: App, host: LabHost, good: str, tmp_path: Path
) -> None:
    outputs = []
    for broken in (None, "function"):
        app.write(revision="grep", broken=broken)
        outputs.append(app.run(host, options=("-y", "-vvv")).output)
        outputs.append(app.run(host, options=("--dry", "--diff")).output)
    names = ("given.json", "generated.json", "compose.json", "resolved.json", "secrets.env")
    kept = " -o ".join(f"-name {name}" for name in names)
    modes = host.run(
        f"find /opt/gpuhost \\( {kept} \\) -exec stat -c '%a %U' {{}} + | sort -u"
    ).stdout
    assert modes == "600 root\n"
    planted = [*SECRETS.values()]
    planted.remove(SECRETS["ADMIN_EMAIL"])
    generated = json.loads(host.run(f"cat {app.home('generated.json')}").stdout)
    for value in (*planted, *generated.values()):
        assert not [text for text in outputs if value in text]
        host.put("/run/gpuhost-pattern", value.encode() + b"\n", mode=0o600)
        matches = {place: host.run(look, check=False).stdout for place, look in SEARCHES.items()}
        host.run("rm /run/gpuhost-pattern")
        assert matches == dict.fromkeys(SEARCHES, "")
