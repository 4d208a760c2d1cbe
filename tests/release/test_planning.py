"""The plan: cases that the golden files do not cover."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpuhost.appfile.app import App
from gpuhost.appfile.errors import BadApp
from gpuhost.release.planning import plan_release
from gpuhost.release.variant import ChosenVariant
from gpuhost.runner.plan import Plan, VerifyStep
from tests.release.cases import CPU, DECLARED, P40, app, chosen, host
from tests.release.generated_apps import app_of


def _plan(one: App, on: str = CPU) -> Plan:
    return plan_release(one, chosen(one, on), DECLARED, host(on), revision="r", by="x@y")


def _app(tmp_path: Path, block: dict[str, Any], services: dict[str, Any] | None = None) -> App:
    return app_of({"x-gpuhost": block, "services": services or {"app": {"image": "x"}}}, tmp_path)


def _steps(
    tmp_path: Path, steps: list[dict[str, Any]], services: dict[str, Any] | None = None, **rest: Any
) -> tuple[VerifyStep, ...]:
    return _plan(_app(tmp_path, {"verify": {"steps": steps}, **rest}, services)).verify.steps


def test_a_migration_needs_a_backup_or_without_backup(tmp_path: Path) -> None:
    services = {"app": {"image": "x"}, "migrate": {"image": "x"}}
    with pytest.raises(BadApp, match=r"migrate: no backup before it: add backup, or"):
        _plan(_app(tmp_path, {"migrate": {"service": "migrate"}}, services))
    without_backup = {"migrate": {"service": "migrate", "without_backup": True}}
    migrate = _plan(_app(tmp_path, without_backup, services)).migrate
    assert migrate and migrate.without_backup
    backed_up = {"migrate": {"service": "migrate"}, "backup": {"paths": ["data"]}}
    plan = _plan(_app(tmp_path, backed_up, services))
    assert plan.migrate and not plan.migrate.without_backup


def test_build_arguments_of_the_app_win_over_those_of_the_host(tmp_path: Path) -> None:
    assert _plan(_app(tmp_path, {})).build.args == {"PIP_INDEX_URL": "https://pip.example"}
    own = {"build": {"args": {"PIP_INDEX_URL": "own", "X": "1"}}}
    assert _plan(_app(tmp_path, own)).build.args == {"PIP_INDEX_URL": "own", "X": "1"}


def test_an_app_of_images_has_no_source(tmp_path: Path) -> None:
    assert _plan(_app(tmp_path, {})).source is None


def test_a_directory_is_sent_as_an_archive() -> None:
    source = _plan(app("hostile")).source
    assert source is not None
    assert (source.kind, source.revision, source.git) == ("archive", "r", "")


def test_the_deadline_is_longer_than_all_limits_together() -> None:
    plan = _plan(app("whole"))
    assert plan.backup and plan.migrate
    builds = 3 * plan.build.step_limit_s
    waits = plan.verify.start_s + sum(step.within_s for step in plan.verify.steps)
    assert plan.limit_s > builds + plan.backup.limit_s + plan.migrate.limit_s + 2 * waits


def test_a_plan_has_no_secret_values() -> None:
    """Only names, and templates with names."""
    secrets = {one.name: one for one in _plan(app("whole")).secrets}
    assert secrets["REDIS_URL"].value == "redis://:${REDIS_PASSWORD}@redis:6379/0"
    assert {name for name, one in secrets.items() if one.internal} == {
        "DEPLOY_KEY",
        "REGISTRY_PASSWORD",
        "TLS_CERT",
        "TLS_KEY",
    }


HEALTH = {"health": {"url": "http://127.0.0.1:3000/api/health"}}


@pytest.mark.parametrize(
    ("step", "name"),
    [
        (HEALTH, "GET http://127.0.0.1:3000/api/health"),
        ({"request": {"url": "http://x/y", "method": "PUT"}}, "PUT http://x/y"),
        ({"request": {"url": "http://x/y", "then": "a.b"}}, "POST http://x/y, and what a.b names"),
        ({"log": {"service": "app", "matches": "ready$"}}, "the log of app: ready$"),
        ({"command": {"service": "app", "run": ["nvidia-smi", "-L"]}}, "nvidia-smi -L, in app"),
        (
            {"command": {"service": "app", "run": ["sh", "-c", "a\nb   c" + "d" * 99]}},
            "sh -c a b c" + "d" * 49 + "…, in app",
        ),
        (
            {"command": {"service": "app", "run": ["python3", "-c", "torch.cuda.is_available()"]}},
            "torch sees the GPU, in app",
        ),
    ],
)
def test_names_of_verify_steps(tmp_path: Path, step: dict[str, Any], name: str) -> None:
    (made,) = _steps(tmp_path, [step])
    assert made.name == name


SITE = {"upstream": "127.0.0.1:3000"}


@pytest.mark.parametrize(
    ("nginx", "url", "through"),
    [
        ({}, "http://127.0.0.1:3000/x", "http://localhost"),
        ({}, "http://localhost:3000/x", "http://localhost"),
        ({}, "http://127.0.0.1:3001/x", ""),
        ({}, "http://192.0.2.1:3000/x", ""),
        ({"upstream": "127.0.0.1:80"}, "http://127.0.0.1/x", "http://localhost"),
        ({"port": 8080}, "http://127.0.0.1:3000", "http://localhost:8080"),
        ({"server_names": ["a.example", "b.example"]}, "http://127.0.0.1:3000", "http://a.example"),
        ({"server_names": ["*.example"]}, "http://127.0.0.1:3000", "http://www.example"),
        ({"tls": {"kind": "self-signed"}}, "http://127.0.0.1:3000/x", "https://localhost"),
        (
            {"tls": {"kind": "self-signed"}, "tls_port": 8443},
            "http://127.0.0.1:3000/x",
            "https://localhost:8443",
        ),
        ({"paths": {"/x": {"upstream": "127.0.0.1:9"}}}, "http://127.0.0.1:3000/x/y", ""),
        (
            {"paths": {"/x": {"upstream": "127.0.0.1:9"}}},
            "http://127.0.0.1:9/x",
            "http://localhost",
        ),
        ({"paths": {"/x": {"upstream": "127.0.0.1:9"}}}, "http://127.0.0.1:9/y", ""),
        ({"paths": {"/x/": {"upstream": "127.0.0.1:9"}}}, "http://127.0.0.1:3000/x", ""),
        (
            {"paths": {"/x": {"upstream": "127.0.0.1:9"}, "= /x/y": {}}},
            "http://127.0.0.1:3000/x/y",
            "http://localhost",
        ),
        (
            {"paths": {"^~ /x": {"upstream": "127.0.0.1:9"}, "/x/y": {}}},
            "http://127.0.0.1:3000/x/y",
            "http://localhost",
        ),
        ({"paths": {"~ /a": {"upstream": "127.0.0.1:9"}}}, "http://127.0.0.1:3000/x", ""),
        ({"paths": {"~ /a": {"max_body": "1m"}}}, "http://127.0.0.1:3000/x", "http://localhost"),
    ],
)
def test_which_requests_are_repeated_through_nginx(
    tmp_path: Path, nginx: dict[str, Any], url: str, through: str
) -> None:
    """Only requests that nginx passes to the same upstream, with a server name of the site."""
    (step,) = _steps(tmp_path, [{"health": {"url": url}}], nginx={**SITE, **nginx})
    assert step.through == through


@pytest.mark.parametrize(
    ("ports", "of_app", "through"),
    [
        (["8080:80"], ["3000:3000"], "http://localhost:8080"),
        (["80:80"], ["127.0.0.1:3000:3000/tcp"], "http://localhost"),
        ([{"target": 80, "published": 8080}], ["3000:3000"], "http://localhost:8080"),
        (["80"], ["3000:3000"], ""),
        ([], ["3000:3000"], ""),
        (["8080:80"], ["3000:8000"], ""),
        (["8080:80"], ["3001:3000"], ""),
        (["8080:80"], [], ""),
    ],
)
def test_requests_through_a_containers_nginx_use_its_published_port(
    tmp_path: Path, ports: list[Any], of_app: list[Any], through: str
) -> None:
    site = {"where": "container", "service": "web", "config": "n/a.conf", "upstream": "app:3000"}
    services = {
        "web": {"image": "x", "ports": ports, "volumes": ["./n:/n"]},
        "app": {"image": "x", "ports": of_app},
    }
    (step,) = _steps(tmp_path, [HEALTH], services, nginx=site)
    assert step.through == through


def test_without_nginx_no_request_goes_through_it(tmp_path: Path) -> None:
    assert _steps(tmp_path, [HEALTH])[0].through == ""


def test_every_reason_against_a_plan_is_named(tmp_path: Path) -> None:
    """A variable without a value, and a migration without a backup."""
    services = {
        "app": {"image": "x:${TAG}", "environment": {"A": "${KEY}", "B": "${TAG}"}},
        "migrate": {"image": "x"},
        "off": {"image": "${OFF}", "profiles": ["off"]},
    }
    one = _app(tmp_path, {"migrate": {"service": "migrate"}}, services)
    with pytest.raises(BadApp) as raised:
        _plan(one)
    expected = ["x-gpuhost.migrate: no backup before it", "${TAG} is not set", "${KEY} is not set"]
    assert len(raised.value.lines) == 3
    assert all(text in line for text, line in zip(expected, raised.value.lines, strict=True))
    set_here = {"variables": {"TAG": "1", "KEY": "k"}}
    plan = _plan(_app(tmp_path, set_here, {"app": services["app"], "off": services["off"]}))
    assert (plan.variables, plan.optional) == ({"TAG": "1", "KEY": "k"}, ("OFF",))


def test_steps_of_the_other_variant_are_left_out(tmp_path: Path) -> None:
    steps = [
        {"command": {"service": "app", "run": ["a"], "only": "with_gpu"}},
        {"command": {"service": "app", "run": ["b"], "only": "without_gpu"}},
        {"log": {"service": "on-gpu", "matches": "c"}},
        {"log": {"service": "on-cpu", "matches": "d"}},
        {"log": {"service": "extra", "matches": "e"}},
        {"log": {"service": "forgotten", "matches": "f"}},
        {"log": {"service": "app", "matches": "g", "only": "with_gpu"}},
        {"health": {"url": "http://127.0.0.1:1", "only": "with_gpu"}},
        {"request": {"url": "http://127.0.0.1:2", "only": "without_gpu"}},
    ]
    block = {
        "gpu": {"app": {}},
        "with_gpu": {"profiles": ["gpu"]},
        "without_gpu": {"profiles": ["cpu"], "leave_out": ["extra"]},
        "verify": {"steps": steps},
    }
    services = {
        "app": {"image": "x"},
        "on-gpu": {"image": "x", "profiles": ["gpu"]},
        "on-cpu": {"image": "x", "profiles": ["cpu"]},
        "extra": {"image": "x"},
        # No variant has this profile: the step stays, and fails.
        "forgotten": {"image": "x", "profiles": ["other"]},
    }
    one = _app(tmp_path, block, services)
    steps_by_host = {
        on: [_target(step) for step in _plan(one, on).verify.steps] for on in (CPU, P40)
    }
    assert steps_by_host == {
        CPU: ["b", "d", "f", "http://127.0.0.1:2"],
        P40: ["a", "c", "e", "f", "g", "http://127.0.0.1:1"],
    }


def _target(step: VerifyStep) -> str:
    return step.request.url if step.request else step.log or step.command[0]


def test_a_plan_has_the_driver_for_the_requirements_of_images() -> None:
    (card,) = _plan(app("whole"), P40).gpu
    assert (card.service, card.driver, card.cuda) == ("worker-gpu", "535.183.01", "12.2")
    assert (card.brand, card.compute_capability) == ("tesla", "6.1")
    choice = chosen(app("whole"), CPU)
    assert isinstance(choice, ChosenVariant)
    assert _plan(app("whole")).gpu == ()


def test_a_writable_bind_is_named_as_compose_names_it(tmp_path: Path) -> None:
    volumes = ["./conf/:/etc/conf/:rw", "./other:/other"]
    plan = _plan(_app(tmp_path, {}, {"app": {"image": "x", "volumes": volumes}}))
    assert plan.writable == ("app:/etc/conf",)
