"""The app files of gpuhost: releases and rollbacks of their stand-ins on a lab host."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from gpuhost.appfile.document import RESET, Tagged
from tests.apps import base_image
from tests.e2e.commands import deploy
from tests.e2e.releasing import App, ask, edits_without, remove
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.lab import HostSpec

pytestmark = [pytest.mark.lab, pytest.mark.matrix]
# The longest time for the conversion of a document.
CONVERSION_S = 60


@pytest.fixture(scope="module")
def ready(hosts: Hosts) -> dict[str, LabHost]:
    """Hosts by card: one that supports all apps, and one that is too old for MinerU's worker."""
    cards = ("l40s-610", "p40")
    booted = hosts(*(HostSpec(f"apps-{card}", "trixie", card=card) for card in cards))
    run = deploy(*booted)
    assert run.status == 0, run.stderr
    for host in booted:
        base_image.load_services(host)
    return dict(zip(cards, booted, strict=True))


class Released:
    """An app on a host with its card; each subclass has the properties of one app."""

    name: ClassVar[str]
    health: ClassVar[str]
    card: ClassVar[str] = "l40s-610"
    port: ClassVar[int] = 8000
    project: ClassVar[str] = ""
    secrets: ClassVar[dict[str, str]] = {}
    # The ports that other machines can reach.
    public: ClassVar[set[int]] = set()

    @pytest.fixture(scope="class")
    @classmethod
    def host(cls, ready: dict[str, LabHost]) -> LabHost:
        return ready[cls.card]

    @pytest.fixture(scope="class")
    @classmethod
    def app(cls, host: LabHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
        """The app, released once and verified; removed at the end, because others use its ports."""
        made = App(cls.name, tmp_path_factory.mktemp("project"), dict(cls.secrets))
        made.write(revision="one")
        ended = made.run(host)
        assert ended.status == 0, ended.output
        yield made
        remove(host, cls.name, cls.project or cls.name)

    def revision(self, host: LabHost) -> Any:
        """The revision of the release that answers."""
        return ask(host, self.health, port=self.port)["revision"]

    def containers(self, host: LabHost) -> list[dict[str, Any]]:
        return _containers(host, self.project or self.name)

    def keep(self, host: LabHost, text: str) -> None:
        ask(host, "/rows", post=text, port=self.port)

    def kept(self, host: LabHost) -> Any:
        return ask(host, "/rows", port=self.port)


class Life(Released):
    """The tests of every app."""

    def test_the_first_release_runs_and_only_public_ports_are_open(
        self, app: App, host: LabHost
    ) -> None:
        assert self.revision(host) == "one"
        running = self.containers(host)
        assert {container["State"]["Status"] for container in running} == {"running"}
        public = {
            int(binding["HostPort"])
            for container in running
            for bindings in container["HostConfig"]["PortBindings"].values()
            for binding in bindings
            if binding["HostIp"] != "127.0.0.1"
        }
        assert public == self.public

    def test_the_same_again_changes_nothing(self, app: App, host: LabHost) -> None:
        started = [container["State"]["StartedAt"] for container in self.containers(host)]
        again = app.run(host)
        assert again.changed_nothing, again.output
        assert [container["State"]["StartedAt"] for container in self.containers(host)] == started

    def test_data_survives_releases_and_a_rollback(self, app: App, host: LabHost) -> None:
        self.keep(host, "written before")
        for revision in ("two", "three"):
            app.write(revision=revision)
            ended = app.run(host)
            assert ended.status == 0, ended.output
            assert self.revision(host) == revision
            assert self.kept(host) == ["written before"]
        back = app.run(host, deploy="rollback.py")
        assert back.status == 0, back.output
        assert self.revision(host) == "two"
        assert self.kept(host) == ["written before"]

    def test_no_container_prints_a_secret(self, app: App, host: LabHost) -> None:
        values = set[str]()
        for file in ("generated.json", "current/given.json"):
            text = host.run(f"cat {app.home(file)}", check=False).stdout
            values |= set(json.loads(text or "{}").values())
        for container in self.containers(host):
            printed = host.run(f"docker logs {container['Name']} 2>&1").stdout
            assert not [value for value in values if value in printed], container["Name"]


class TestMineru(Life):
    name = "mineru-api"
    project = "mineru"
    health = "/api/v1/health"

    def test_its_worker_uses_the_card(self, app: App, host: LabHost) -> None:
        (worker,) = _of_service(self.containers(host), "mineru-worker-gpu")
        assert worker["HostConfig"]["DeviceRequests"][0]["Capabilities"] == [["gpu"]]
        assert _converted(host) == {"status": "completed", "device": "cuda", "markdown": "# Hello"}

    def test_a_worker_on_another_queue_fails_the_release(self, app: App, host: LabHost) -> None:
        soon = {"x-gpuhost.verify.steps.2.command.within_s": 15}
        app.write(revision="bad", edits=soon, broken="queue")
        ended = app.run(host)
        assert ended.status == 1, ended.output
        assert "no worker took the task" in ended.output
        assert self.revision(host) == "two"

    def test_a_worker_without_mineru_fails_the_release(self, app: App, host: LabHost) -> None:
        """It is healthy, and takes the document."""
        edits = edits_without(self.name, "mineru[", "MINERU_AVAILABLE")
        soon = {"x-gpuhost.verify.steps.2.command.within_s": 15}
        app.write(revision="bad", edits={"x-gpuhost.source.edits": edits, **soon})
        ended = app.run(host)
        assert ended.status == 1, ended.output
        assert "MinerU is not available" in ended.output
        assert self.revision(host) == "two"


class TestMineruOnAnUnsupportedCard(Released):
    name = "mineru-api"
    project = "mineru"
    health = "/api/v1/health"
    card = "p40"

    def test_two_cpu_workers_run_and_the_log_says_why(self, app: App, host: LabHost) -> None:
        log = host.run(f"cat {app.home('current/log')}").stdout
        assert "compute capability 6.1 of Tesla P40 < 7.0" in log
        workers = _of_service(self.containers(host), "mineru-worker-cpu")
        assert len(workers) == 2
        assert not any(worker["HostConfig"]["DeviceRequests"] for worker in workers)
        assert _converted(host)["device"] == "cpu"


class TestVoiceprint(Life):
    name = "voiceprint-api"
    health = "/health"
    secrets: ClassVar = {
        "DATABASE_URL": "mysql+asyncmy://voiceprint:planted-5b1c@db.example.com/voiceprint",
        "MINIO_ENDPOINT": "minio.example.com:9000",
        "MINIO_ACCESS_KEY": "planted-access",
        "MINIO_SECRET_KEY": "planted-secret-2f",
        "SECRET_KEY": "planted-0123456789abcdef0123456789abcdef",
    }

    def keep(self, host: LabHost, text: str) -> None:
        """It keeps nothing on the host: MySQL and MinIO run elsewhere."""

    def kept(self, host: LabHost) -> Any:
        (container,) = self.containers(host)
        assert container["Mounts"] == []
        return ["written before"]

    def test_a_release_without_its_model_is_rolled_back(self, app: App, host: LabHost) -> None:
        # The content of an image does not change, so a short limit is enough.
        app.write(revision="bad", edits={"x-gpuhost.verify.steps.0.command.within_s": 5})
        with (app.project / "source" / "Dockerfile").open("a") as file:
            file.write("RUN rm pretrained_models/spkrec-ecapa-voxceleb/*\n")
        ended = app.run(host)
        assert ended.status == 1, ended.output
        assert "no spkrec-ecapa-voxceleb" in ended.output
        assert self.revision(host) == "two"

    def test_a_health_check_that_upstream_fails_is_rolled_back(
        self, app: App, host: LabHost
    ) -> None:
        edits = edits_without(self.name, "conn.execute")
        changes = {"x-gpuhost.source.edits": edits, "x-gpuhost.verify.start_s": 20}
        app.write(revision="bad", edits=changes)
        ended = app.run(host)
        assert ended.status == 1, ended.output
        assert "Not an executable object: 'SELECT 1'" in ended.output
        assert self.revision(host) == "two"

    def test_without_a_card_the_service_is_the_same(self, app: App, host: LabHost) -> None:
        app.write(revision="cpu")
        ended = app.run(host, gpu="none")
        assert ended.status == 0, ended.output
        assert self.revision(host) == "cpu"
        (container,) = self.containers(host)
        assert container["HostConfig"]["DeviceRequests"] is None


class TestZPulse(Life):
    name = "z-pulse"
    health = "/health"
    public: ClassVar = {8899, 443}
    secrets: ClassVar = {
        "DASHSCOPE_API_KEY": "planted-dashscope",
        "BREVO_API_KEY": "planted-brevo",
        "EMAIL_FROM": "news@example.com",
        "WERSS_ADMIN_PASSWORD": "planted-werss",
    }

    def test_nginx_in_its_container_answers_with_tls(self, app: App, host: LabHost) -> None:
        plain = "curl -sS -o /dev/null -w '%{http_code} %{redirect_url}' http://localhost:8899/x"
        assert host.run(plain).stdout == "301 https://localhost/x"
        assert "<title>z-pulse</title>" in host.run("curl -sSk https://localhost/").stdout
        api = json.loads(host.run("curl -sSk https://localhost/health").stdout)
        assert (api["status"], api["revision"]) == ("running", "two")
        feeds = host.run("curl -sSk https://localhost/api/feeds").stdout
        assert json.loads(feeds) == ["https://example.com/feed"]
        visits = [host.run("curl -sSk https://localhost/api/visits").stdout for _ in range(2)]
        assert visits == ["1", "2"]

    def test_a_backend_without_the_password_is_rolled_back(self, app: App, host: LabHost) -> None:
        edits = {
            "x-gpuhost.secrets.POSTGRES_PASSWORD.services": ["postgres-db"],
            "services.api-backend.environment.POSTGRES_PASSWORD": Tagged(RESET, None),
        }
        app.write(revision="bad", edits=edits)
        ended = app.run(host)
        assert ended.status == 1, ended.output
        assert "POSTGRES_PASSWORD: Field required" in ended.output
        assert self.revision(host) == "two"

    def test_a_backup_restores_its_rows(self, app: App, host: LabHost) -> None:
        host.run(f"systemctl start gpuhost-backup-{self.name}.service")
        newest = host.run(f"cd {app.home('backups')} && ls -d *-schedule").stdout.split()[-1]
        ask(host, "/rows", post="written after", port=self.port)
        assert ask(host, "/rows", port=self.port) == ["written before", "written after"]
        restored = app.run(host, deploy="restore.py", backup=newest)
        assert restored.status == 0, restored.output
        assert ask(host, "/rows", port=self.port) == ["written before"]
        assert host.run("curl -sSk https://localhost/").status == 0


class TestAutoVoiceCollation(Life):
    name = "autovoicecollation"
    health = "/"
    port = 7860

    def test_models_are_downloaded_before_it_starts(self, app: App, host: LabHost) -> None:
        models = host.run(f"ls {app.home('shared/models')}").stdout.split()
        assert models == ["SenseVoiceSmall", "ct-punc-c", "fsmn-vad", "paraformer-zh"]
        assert host.run(f"cat {app.home('shared/settings/.env')}").stdout.startswith("DISABLE_LLM")
        (container,) = self.containers(host)
        assert container["Name"] == "/avc-webui"
        assert container["HostConfig"]["DeviceRequests"][0]["Capabilities"] == [["gpu"]]

    def test_without_a_card_the_cpu_service_runs(self, app: App, host: LabHost) -> None:
        app.write(revision="cpu")
        ended = app.run(host, gpu="none")
        assert ended.status == 0, ended.output
        (container,) = self.containers(host)
        assert container["Name"] == "/avc-webui-cpu"
        assert ask(host, "/", port=self.port)["device"] == "cpu"
        assert ask(host, "/rows", port=self.port) == ["written before"]


def _containers(host: LabHost, project: str) -> list[dict[str, Any]]:
    """All containers of the project, running or not, sorted by name."""
    listed = host.run(f"docker ps -aq --filter label=com.docker.compose.project={project}").stdout
    if not listed:
        return []
    shown: list[dict[str, Any]] = json.loads(
        host.run(f"docker inspect {' '.join(listed.split())}").stdout
    )
    return sorted(shown, key=lambda container: str(container["Name"]))


def _of_service(containers: list[dict[str, Any]], service: str) -> list[dict[str, Any]]:
    return [
        container
        for container in containers
        if container["Config"]["Labels"]["com.docker.compose.service"] == service
    ]


def _converted(host: LabHost) -> dict[str, str]:
    """Send a document, and wait for the result."""
    tasks = "http://127.0.0.1:8000/api/v1/tasks"
    host.put("/root/hello.txt", b"Hello")
    sent = host.run(f"curl -sS -F file=@/root/hello.txt {tasks}/submit").stdout
    task = json.loads(sent)["task_id"]
    deadline = time.monotonic() + CONVERSION_S
    while True:
        task_state: dict[str, str] = json.loads(host.run(f"curl -sS {tasks}/{task}").stdout)
        task_state.pop("revision", None)
        if task_state["status"] != "pending" or time.monotonic() > deadline:
            return task_state
        time.sleep(0.5)
