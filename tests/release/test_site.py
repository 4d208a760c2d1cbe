"""nginx's site: cases that the golden files do not cover."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.appfile.compose.mounts import container_path
from gpuhost.appfile.compose.short_forms import volume_of
from gpuhost.appfile.errors import BadApp
from gpuhost.release.site import has_ipv6, nginx_name, render_site
from tests.recorded import snapshot_of
from tests.release.cases import app
from tests.release.generated_apps import app_of


def _site(tmp_path: Path, nginx: dict[str, Any], services: dict[str, Any] | None = None) -> str:
    document = {"x-gpuhost": {"nginx": nginx}, "services": services or {"app": {"image": "x"}}}
    return render_site(app_of(document, tmp_path)) or ""


def _locations(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line[9:-2] for line in lines if line.startswith("location ")]


HOST = {"upstream": "127.0.0.1:3000"}


def test_an_app_without_nginx_has_no_site() -> None:
    assert render_site(app("plain")) is None


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], ['"/"']),
        (["/"], ['"/"']),
        (["^~ /"], ['^~ "/"']),
        (["/api"], ['"/api"', '"/"']),
        (["/api/"], ['"/api/"', '= "/api"', '"/"']),
        (["^~ /api/"], ['^~ "/api/"', '= "/api"', '"/"']),
        (["/api/", "/api"], ['"/api/"', '"/api"', '"/"']),
        (["/api/", "= /api"], ['"/api/"', '= "/api"', '"/"']),
        (["/api/", "^~ /api"], ['"/api/"', '^~ "/api"', '"/"']),
        (["= /api/"], ['= "/api/"', '"/"']),
        (["~ /api/"], ['~ "/api/"', '"/"']),
        ([r"~* /\.js$"], [r'~* "/\\.js$"', '"/"']),
        (["= /", "//"], ['= "/"', '"//"', '"/"']),
    ],
)
def test_locations(tmp_path: Path, paths: list[str], expected: list[str]) -> None:
    text = _site(tmp_path, {**HOST, "paths": {path: {"max_body": "1m"} for path in paths}})
    assert _locations(text) == expected


def test_a_location_without_a_rate_has_that_of_the_site_and_its_own_burst(tmp_path: Path) -> None:
    paths = {"/a": {"burst": 3}, "/b": {"timeout_s": 5}, "/c": {"rate_per_s": 1, "burst": 0}}
    text = _site(tmp_path, {**HOST, "rate_per_s": 9, "paths": paths})
    limits = [line.strip() for line in text.splitlines() if "limit_req zone" in line]
    assert limits == [
        "limit_req zone=gpuhost_made_site burst=20 nodelay;",
        "limit_req zone=gpuhost_made_site burst=3 nodelay;",
        "limit_req zone=gpuhost_made_2;",
    ]
    # A burst without a rate has no effect.
    assert "limit_req zone" not in _site(tmp_path, {**HOST, "paths": {"/a": {"burst": 3}}})


@given(st.lists(st.from_regex(r"[a-z0-9][a-z0-9_-]{0,6}", fullmatch=True), unique=True))
def test_apps_have_different_nginx_variables(names: list[str]) -> None:
    made = {nginx_name(name) for name in names}
    assert len(made) == len(names)
    assert all(name.replace("_", "").isalnum() for name in made)


CONTAINER = {"where": "container", "service": "web", "upstream": "app:3000"}
SELF_SIGNED = {"kind": "self-signed"}


def _services(*volumes: Any) -> dict[str, Any]:
    web = {"image": "nginx", "volumes": list(volumes), "ports": ["8080:80"]}
    return {"web": web, "app": {"image": "x"}}


@pytest.mark.parametrize(
    ("nginx", "volumes", "says"),
    [
        (
            {"config": "nginx/a.conf"},
            [],
            "web does not mount a directory with nginx/a.conf",
        ),
        ({"config": "nginx/a.conf"}, ["nginx:/etc/nginx"], "mount ./nginx"),
        (
            {"config": "a.conf", "tls": SELF_SIGNED},
            ["./a.conf:/etc/a.conf"],
            "a directory with tls; mount",
        ),
        (
            {"config": "n/a.conf", "tls": {"kind": "acme", "email": "a@b.c"}},
            ["./n:/n"],
            "acme needs the host's nginx",
        ),
        (
            {"config": "n/a.conf", "tls": SELF_SIGNED, "port": 443},
            ["./n:/n"],
            "port and tls_port are both 443",
        ),
    ],
)
def test_unsupported_sites_of_a_containers_nginx(
    tmp_path: Path, nginx: dict[str, Any], volumes: list[str], says: str
) -> None:
    with pytest.raises(BadApp, match=says) as raised:
        _site(tmp_path, {**CONTAINER, **nginx}, _services(*volumes))
    assert "x-gpuhost.nginx" in raised.value.lines[0]


def test_without_tls_a_containers_nginx_needs_only_its_file(tmp_path: Path) -> None:
    text = _site(tmp_path, {**CONTAINER, "config": "a.conf"}, _services("./a.conf:/etc/a.conf:ro"))
    assert "resolver 127.0.0.11" in text
    assert "proxy_pass http://$gpuhost_made_upstream;" in text


@pytest.mark.parametrize(
    ("path", "volumes", "expected"),
    [
        ("nginx/tls", ["./nginx:/etc/nginx/conf.d:ro"], "/etc/nginx/conf.d/tls"),
        ("nginx/tls", ["./nginx/:/conf/"], "/conf/tls"),
        ("nginx/tls", ["./:/all"], "/all/nginx/tls"),
        ("nginx/tls", [".:/all"], "/all/nginx/tls"),
        ("nginx/tls", ["./:/all", "./nginx:/near"], "/near/tls"),
        ("nginx/a.conf", ["./nginx/a.conf:/etc/a.conf"], "/etc/a.conf"),
        ("./nginx/a.conf", ["./nginx:/x"], "/x/a.conf"),
        ("/srv/n/a", ["/srv/n:/x"], "/x/a"),
        ("/srv/n/a", ["/:/host"], "/host/srv/n/a"),
        ("/srv/n/a", ["./:/x"], None),
        ("nginx/tls", ["./nginx2:/x", "nginx:/y", "./ngin:/z", "/anonymous"], None),
        ("nginx/tls", ["./nginx:${WHERE}", "${SRC}/nginx:/x"], None),
        ("n/a", [{"type": "bind", "source": "./n", "target": "/x"}], "/x/a"),
        ("n/a", [{"type": "volume", "source": "n", "target": "/x"}, {"type": "bind"}], None),
    ],
)
def test_the_path_of_a_file_inside_a_container(
    path: str, volumes: list[Any], expected: str | None
) -> None:
    assert container_path(path, map(volume_of, volumes)) == expected


SSHD = 'users:(("sshd",pid=119,fd=7))'


@pytest.mark.parametrize(
    ("listeners", "expected"),
    [
        (f"tcp LISTEN 0 128 [::]:22 [::]:* {SSHD}\n", True),
        (f"tcp LISTEN 0 128 *:22 *:* {SSHD}\n", True),
        (f"tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* {SSHD}\n", False),
        (f"tcp LISTEN 0 128 [::1]:22 [::]:* {SSHD}\n", False),
        ('tcp LISTEN 0 128 [::]:80 [::]:* users:(("docker-proxy",pid=1,fd=7))\n', False),
        ("", False),
    ],
)
def test_a_host_has_ipv6_if_sshd_listens_on_it(listeners: str, expected: bool) -> None:
    """Published ports of containers do not count: a site must not change with its app."""
    probes = {"listeners": {"rc": 0, "out": listeners}}
    assert has_ipv6(snapshot_of({"host": "debian13", "probes": probes})) is expected


def test_without_a_list_of_listeners_there_is_no_ipv6() -> None:
    probes = {"listeners": {"rc": None, "out": ""}}
    assert has_ipv6(snapshot_of({"host": "debian13", "probes": probes})) is False
