"""The apps that are packaged with gpuhost: valid, and without known problems of upstream."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from gpuhost.appfile.app import App
from gpuhost.appfile.document import RESET, Tagged
from gpuhost.appfile.loading import PACKAGED, load
from gpuhost.appfile.schema import file_schema, schema_at
from tests import app_yaml
from tests.apps.stand_ins import HERE as STAND_INS
from tests.apps.stand_ins import load_packaged, write_source

ROOT = Path(__file__).parents[2]
NAMES = [
    "autovoicecollation",
    "english-listening-trainer",
    "mineru-api",
    "voiceprint-api",
    "z-pulse",
]


@pytest.fixture(params=NAMES)
def app(request: pytest.FixtureRequest) -> App:
    return load_packaged(request.param)


def test_every_packaged_app_is_tested_and_documented() -> None:
    assert sorted(path.stem for path in PACKAGED.glob("*.yaml")) == NAMES
    table = (ROOT / "docs" / "apps.md").read_text()
    assert [name for name in NAMES if f"| `{name}` |" not in table] == []


def test_an_app_can_be_released_and_verified(app: App) -> None:
    block = app.block
    assert block.source is not None
    assert re.fullmatch("[0-9a-f]{40}", block.source.ref)
    assert any(step.health for step in block.verify.steps)
    assert any(step.command or step.request for step in block.verify.steps)
    assert block.nginx is not None
    assert block.nginx.tls is not None
    assert block.build.memory_gb
    assert block.build.disk_gb


def test_an_app_runs_without_a_card(app: App) -> None:
    assert app.block.without_gpu is not None


def test_the_gpu_is_verified_in_every_service_that_has_one(app: App) -> None:
    asked = [
        step.command
        for step in app.block.verify.steps
        if step.command and "torch.cuda.is_available()" in step.command.run[-1]
    ]
    assert [step.service for step in asked] == list(app.block.gpu)
    assert {step.only for step in asked} <= {"with_gpu"}


def test_started_services_have_limits(app: App) -> None:
    """Services of inactive profiles need none."""
    variants = [variant for variant in (app.block.with_gpu, app.block.without_gpu) if variant]
    profiles = {profile for variant in variants for profile in variant.profiles}
    started = {
        name
        for name, service in app.compose.services.items()
        if not service.profiles or profiles.intersection(service.profiles)
    }
    assert started == set(app.block.resources)
    assert all(limits.memory_gb for limits in app.block.resources.values())


def test_weak_secrets_are_refused(app: App) -> None:
    for name, secret in app.block.secrets.items():
        is_made = secret.generate or secret.value
        assert is_made or secret.refuse or secret.min_length >= 16 or name == "MINIO_ENDPOINT"
        if "PASSWORD" in name and not is_made:
            assert secret.min_length >= 8


def test_no_secret_is_in_the_app_file(app: App) -> None:
    """The environment of a service has no name that is declared as its secret."""
    for service, written in app_yaml.read(app.text)["services"].items():
        given = {
            name
            for name, secret in app.block.secrets.items()
            if not secret.services or service in secret.services
        }
        assert given.isdisjoint(written.get("environment", ())), service


def test_a_health_check_can_fail(app: App) -> None:
    text = app.text.decode()
    assert "exit 0" not in text.replace("`|| exit 0`", "")
    assert any(service.healthcheck for service in app.compose.services.values())


def test_an_image_has_one_build(app: App) -> None:
    """Two targets under one tag overwrite each other."""
    builds: dict[str, set[object]] = {}
    for service in app.compose.services.values():
        if service.image and service.build:
            builds.setdefault(service.image, set()).add(service.build)
    assert {image: len(found) for image, found in builds.items() if len(found) > 1} == {}


def test_values_that_yaml_1_1_reads_differently_are_quoted(app: App) -> None:
    """PyYAML knows YAML 1.1: a plain 22:22 is a number, and yes is true."""
    older = app_yaml.read(app.text)
    # 22:22 would become a number of seconds.
    assert not re.search(r"(?m)^\s*[A-Z_]+: \d+:\d+$", app.text.decode())
    assert all(isinstance(service, dict) for service in older["services"].values())


def test_bind_mounts_are_declared(app: App) -> None:
    """A directory that Docker creates is owned by root. What the source has is no data."""
    declared = {path.rstrip("/") for path in app.block.directories}
    for service in app.compose.services.values():
        for volume in service.volumes:
            assert isinstance(volume, str)
            path = volume.partition(":")[0]
            if path.startswith("./") and not (STAND_INS / app.name / path).exists():
                assert path.removeprefix("./") in declared


def test_no_volume_hides_the_models_of_the_image() -> None:
    volumes = load_packaged("voiceprint-api").compose.services["voiceprint-api"].volumes
    assert not any("pretrained_models" in str(volume) for volume in volumes)


def test_the_long_path_of_english_listening_trainer() -> None:
    """With a trailing slash nginx would redirect POST /api/tts."""
    site = load_packaged("english-listening-trainer").block.nginx
    assert site is not None
    assert site.paths["/api/tts"].timeout_s == 120
    assert "/api/tts/" not in site.paths


def test_nginx_accepts_uploads_of_mineru() -> None:
    app = load_packaged("mineru-api")
    assert app.block.nginx is not None
    largest = int(app.block.nginx.max_body.removesuffix("m")) * 1024 * 1024
    assert largest > 209715200
    assert b'MAX_FILE_SIZE: "209715200"' in app.text
    assert b"WORKER_POOL: threads" in app.text


def test_every_service_of_z_pulse_is_verified() -> None:
    """Services behind others are verified through them."""
    app = load_packaged("z-pulse")
    steps = app.block.verify.steps
    inside = {one.service for step in steps if (one := step.log or step.command)}
    assert inside == {"ingestion-worker", "ai-worker"}
    urls = {step.health.url for step in steps if step.health}
    assert {"http://127.0.0.1:3000/", "http://127.0.0.1:8080/"} <= urls
    (request,) = [step.request for step in steps if step.request]
    assert (request.method, request.url) == ("GET", "http://127.0.0.1:8000/api/reports/")


@pytest.mark.parametrize("name", ["mineru-api", "voiceprint-api", "z-pulse"])
def test_a_release_is_verified_by_a_script_of_the_overlay(name: str) -> None:
    """It uses the app for what it is for, and is built into the image."""
    app = load_packaged(name)
    source = app.block.source
    assert source is not None
    assert source.overlay == f"{name}.overlay"
    overlay = PACKAGED / source.overlay
    (script,) = overlay.rglob("verify_release.py")
    run = [step.command.run for step in app.block.verify.steps if step.command]
    (verified,) = [Path(words[1]) for words in run if words[0] == "python" and words[1] != "-c"]
    assert str(script).endswith(str(verified))


def test_python_of_the_overlays_is_for_the_python_of_the_images() -> None:
    """3.10 is the oldest; a file that cannot be compiled would end a build late."""
    scripts = list(PACKAGED.glob("*.overlay/**/*.py"))
    assert scripts
    for script in scripts:
        ast.parse(script.read_text(), str(script), feature_version=(3, 10))


def test_an_edit_does_not_hide_a_failure() -> None:
    """What upstream swallowed must end the build or the start."""
    edits = {
        (name, edit.file): edit.replace
        for name in NAMES
        for source in [load_packaged(name).block.source]
        if source
        for edit in source.edits
    }
    assert edits["mineru-api", "docker/Dockerfile.worker.cpu"].endswith("|| exit 1")
    assert "broker_url}" not in edits["mineru-api", "worker/tasks.py"]
    assert "{v}" not in edits["z-pulse", "werss_overrides/main.py"]


def test_voiceprint_api_can_use_prebuilt_images(tmp_path: Path) -> None:
    """As its file describes: without `source` and without any `build`."""
    path = tmp_path / "voiceprint-api.yaml"
    written = app_yaml.read((PACKAGED / path.name).read_text())
    del written["x-gpuhost"]["source"], written["x-gpuhost"]["build"]
    for service in written["services"].values():
        service.pop("build", None)
    path.write_text(app_yaml.write(written))
    app = load(path)
    assert app.block.source is None
    assert all(one.image and not one.build for one in app.compose.services.values())


def test_z_pulse_can_use_prebuilt_images(tmp_path: Path) -> None:
    """As its file describes: the source stays, for the files that are mounted."""
    path = tmp_path / "z-pulse.yaml"
    text = (PACKAGED / path.name).read_text()
    named = re.search(r"`build: !reset null` to ([\w, -]+\n?#?[\w, -]*)\.", text)
    assert named
    written = app_yaml.read(text)
    del written["x-gpuhost"]["build"]
    for service in re.findall(r"[a-z]+-[a-z]+", named[1]):
        written["services"][service]["build"] = Tagged(RESET, None)
    write_source("z-pulse", tmp_path / "source")
    written["x-gpuhost"]["source"] = {"directory": "source"}
    path.write_text(app_yaml.write(written))
    app = load(path)
    assert all(one.image and not one.build for one in app.compose.services.values())


def test_the_comments_of_an_app_export_all_its_secrets(app: App) -> None:
    """In the first lines of its file."""
    head = app.text.decode().partition("x-gpuhost:")[0]
    exported = set(re.findall(r"([A-Z_]+)=", "".join(re.findall(r"#   export (.*)", head))))
    needed = {
        name
        for name, secret in app.block.secrets.items()
        if not (secret.generate or secret.value or secret.file or secret.command)
    }
    assert exported == needed


def test_z_pulse_publishes_only_its_proxy() -> None:
    app = load_packaged("z-pulse")
    assert {published.partition(":")[0] for published in app.block.public} == {"reverse-proxy"}
    ports = {name for name, service in app.compose.services.items() if service.ports}
    assert ports == {"api-backend", "frontend-web", "rss-bridge", "reverse-proxy"}
    assert app.block.build.order == ("api-backend", "ingestion-worker", "ai-worker", "frontend-web")


def test_the_schema_knows_every_key(app: App) -> None:
    schema = json.loads(file_schema())
    assert set(schema["properties"]["x-gpuhost"]) == {"$ref"}
    for place in _places(app_yaml.read(app.text)["x-gpuhost"], ()):
        assert schema_at(place) is not None, place


def test_every_reference_of_the_schema_is_defined() -> None:
    text = file_schema()
    definitions = json.loads(text)["$defs"]
    assert set(re.findall(r'"#/\$defs/(\w+)"', text)) == set(definitions)


def _places(value: object, place: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
    below: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        below = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list):
        below = list(enumerate(value))
    return [place, *(found for key, item in below for found in _places(item, (*place, key)))]


def test_examples_of_the_documentation_are_valid(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "apps.md").read_text()
    proposed, short, several, whole = re.findall(r"```yaml\n(x-gpuhost:\n.*?)```", text, re.DOTALL)
    path = tmp_path / "apps" / "tts.yaml"
    path.parent.mkdir()
    path.write_text(whole)
    assert list(load(path).compose.services) == ["app"]
    path.write_text(proposed)
    assert set(load(path).block.secrets) == {"OPENAI_API_KEY", "DATABASE_URL", "DB_PASSWORD"}
    path.write_text(short)
    assert len(short.splitlines()) == 5
    assert not load(path).is_complete
    for name, services in {
        "compose.yml": "{web: {image: w, profiles: [web]}, init: {image: i}}",
        "compose.prod.yml": "{llm: {image: l, gpus: all, volumes: ['./models:/m']}}",
    }.items():
        file = tmp_path / "tts" / "docker" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"services: {services}")
    path.write_text(several)
    app = load(path)
    assert list(app.compose.services) == ["web", "init", "llm"]
    assert list(app.block.directories) == ["docker/models"]
    (images,) = re.findall(r"```yaml\n(x-gpuhost: .*?)```", text, re.DOTALL)
    path.write_text(images)
    app = load(path)
    assert app.block.source is None
    assert [one.build for one in app.compose.services.values()] == [None]
    assert app.block.secrets["REGISTRY_TOKEN"].internal
    (secrets,) = re.findall(r"```yaml\n(secrets:\n.*?)```", text, re.DOTALL)
    indented = secrets.replace("\n  ", "\n    ")
    head = "services: {app: {image: 'a:1'}}\nx-gpuhost:\n  "
    path.write_text(f"{head}{indented.rstrip()}\n    REDIS_PASSWORD: {{}}\n")
    assert "GIT_KEY" in load(path).block.secrets
    (patched,) = re.findall(r"```yaml\n(source:\n.*?)```", text, re.DOTALL)
    path.write_text(head + patched.replace("\n  ", "\n    "))
    source = load(path).block.source
    assert source
    assert source.overlay == "tts.overlay"
    assert source.edits[0].replace == 'db.execute(text("SELECT 1"))'
