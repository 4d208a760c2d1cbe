"""Rendered files, tested with the real tools on a host: docker compose and nginx."""

from __future__ import annotations

import io
import json
import posixpath
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings

from gpuhost.appfile.app import App
from gpuhost.appfile.compose.model import ComposeService
from gpuhost.appfile.compose.short_forms import PublishedPort
from gpuhost.release.site import render_site
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.lab import HostSpec
from tests.release.cases import app, golden_files
from tests.release.generated_apps import app_of, documents
from tests.release.generated_sites import sites

pytestmark = pytest.mark.lab

MADE = 60
ASK = Path(__file__).with_name("run_tools.py").read_text()
# The same examples every time, so that a failure can be reproduced.
GENERATED = settings(
    max_examples=MADE, phases=[Phase.generate], database=None, derandomize=True, deadline=None
)


@pytest.fixture(scope="module")
def tools(hosts: Hosts) -> LabHost:
    """A host with Compose and nginx from Debian."""
    (one,) = hosts(HostSpec("tools", "trixie"))
    install = "apt-get install -y -qq --no-install-recommends docker-compose nginx-light openssl"
    one.run(f"export DEBIAN_FRONTEND=noninteractive; apt-get update -qq; {install}", timeout=600)
    return one


def _run_tool(one: LabHost, what: str, files: Mapping[str, str]) -> dict[str, Any]:
    """The tool's output for the files of each directory: {"rc", "out", "err"}."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    one.put("/root/run_tools.py", ASK.encode())
    done = one.run(f"python3 /root/run_tools.py {what}", stdin=made.getvalue(), timeout=600)
    outputs: dict[str, Any] = json.loads(done.stdout)
    return outputs


def test_compose_reads_every_file_as_it_is_read_here(tools: LabHost) -> None:
    """Compose's own reading of generated files, compared with that before a release."""
    made: list[App] = []

    @GENERATED
    @given(documents())
    def collect(document: dict[str, Any]) -> None:
        with tempfile.TemporaryDirectory() as directory:
            made.append(app_of(document, Path(directory)))

    collect()
    files = {f"{number}/compose.yaml": one.text.decode() for number, one in enumerate(made)}
    outputs = _run_tool(tools, "compose", files)
    assert len(outputs) == len(made) >= MADE
    for number, one in enumerate(made):
        answer = outputs[str(number)]
        assert answer["rc"] == 0, f"{answer['err']}\n{files[f'{number}/compose.yaml']}"
        services = json.loads(answer["out"])["services"]
        assert set(services) == set(one.compose.services)
        for name, service in one.compose.services.items():
            _assert_same(services[name], service, name)


def _assert_same(of_compose: dict[str, Any], service: ComposeService, name: str) -> None:
    published = set()
    for entry in service.ports:
        port = PublishedPort.parse(entry)
        if not port.is_picked_from_range:
            published |= {(str(number), port.protocol) for number in port.ports}
    assert published == {
        (port["published"], port["protocol"])
        for port in of_compose.get("ports", ())
        if port.get("published") and "-" not in port["published"]
    }, name
    assert service.container_name == of_compose.get("container_name"), name
    assert service.profiles == tuple(of_compose.get("profiles", ())), name
    context = of_compose["build"]["context"] if "build" in of_compose else None
    expected = posixpath.normpath(f"/srv/{service.build.context}") if service.build else None
    assert context == expected, name


def test_nginx_accepts_every_site(tools: LabHost) -> None:
    texts: list[str] = []

    @GENERATED
    @given(sites())
    def collect(declared: dict[str, Any]) -> None:
        document = {"x-gpuhost": {"nginx": declared}, "services": {"a": {"image": "x"}}}
        with tempfile.TemporaryDirectory() as directory:
            texts.append(
                render_site(app_of(document, Path(directory)), ipv6=len(texts) % 2 == 0) or ""
            )

    collect()
    assert len(texts) >= MADE
    golden = {name: text for name, text in golden_files().items() if name.endswith(".nginx.conf")}
    files = {f"{number}/site.conf": text for number, text in enumerate(texts)}
    files |= {f"{name}/site.conf": text for name, text in golden.items()}
    for name, answer in _run_tool(tools, "nginx", files).items():
        assert answer["rc"] == 0, f"{answer['err']}\n{files[f'{name}/site.conf']}"


CURL = "curl -sk --max-time 20 --resolve tts.example.com:443:127.0.0.1"
SITE = "https://tts.example.com"


@pytest.fixture(scope="module")
def served(tools: LabHost) -> LabHost:
    """The site of behind-nginx.yaml, with an upstream that returns the request."""
    tools.put("/root/upstream.py", Path(__file__).with_name("echo_server.py").read_bytes())
    golden = golden_files()
    certificate = "openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1"
    tools.put("/etc/nginx/conf.d/site.conf", golden["behind-nginx.nginx.conf"].encode())
    everyone = render_site(app("everyone")) or ""
    tools.put("/etc/nginx/conf.d/everyone.conf", everyone.encode())
    tools.run(
        "systemd-run --unit=upstream python3 /root/upstream.py; "
        "cd /etc/gpuhost/tls/behind-nginx 2>/dev/null || "
        "{ mkdir -p /etc/gpuhost/tls/behind-nginx && cd /etc/gpuhost/tls/behind-nginx; }; "
        f"{certificate} -subj /CN=x -keyout privkey.pem -out fullchain.pem && "
        "mkdir -p /var/lib/gpuhost/acme/.well-known/acme-challenge && "
        "echo token >/var/lib/gpuhost/acme/.well-known/acme-challenge/t && "
        "nginx -t && systemctl restart nginx && "
        f"{CURL.replace('-sk', '-ksf --retry 30 --retry-all-errors --retry-delay 1')} {SITE}/"
    )
    return tools


def _request(one: LabHost, arguments: str) -> dict[str, Any]:
    """The request as the upstream received it."""
    request: dict[str, Any] = json.loads(one.run(f"{CURL} {arguments}").stdout)
    return request


def test_a_post_without_a_trailing_slash_is_not_redirected(served: LabHost) -> None:
    """nginx redirects for a prefix with a trailing slash, and clients follow with a GET."""
    for path in ("/api/auth", "/api/auth/x?y=1", "/live"):
        request = _request(served, f"-d text {SITE}{path}")
        assert (request["method"], request["path"], request["body"]) == ("POST", path, "text")


def test_the_app_gets_the_address_and_the_scheme_of_the_client(served: LabHost) -> None:
    headers = _request(served, f"-H 'X-Forwarded-For: 192.0.2.9' {SITE}/x")["headers"]
    assert headers["host"] == "tts.example.com"
    assert headers["x-forwarded-proto"] == "https"
    assert headers["x-forwarded-for"] == "192.0.2.9, 127.0.0.1"
    assert headers["x-real-ip"] == "127.0.0.1"


def test_only_a_websocket_is_upgraded(served: LabHost) -> None:
    ask = "--http1.1 -H 'Connection: Upgrade' -H 'Upgrade: websocket'"
    live = _request(served, f"{ask} {SITE}/live/x")["headers"]
    assert (live["upgrade"], live["connection"]) == ("websocket", "upgrade")
    plain = _request(served, f"{ask} {SITE}/x")["headers"]
    assert "upgrade" not in plain
    assert "upgrade" not in _request(served, f"{SITE}/live/x")["headers"]


def test_static_files_are_cached_with_any_header_of_the_app(served: LabHost) -> None:
    for path, age in (("/_next/static/a", 31536000), ("/a/b.js", 86400)):
        shown = served.run(f"{CURL} -D- -o /dev/null {SITE}{path}").stdout.lower()
        assert f"cache-control: max-age={age}" in shown
        assert "no-store" not in shown
    assert "no-store" in served.run(f"{CURL} -D- -o /dev/null {SITE}/x").stdout.lower()


def test_large_bodies_and_high_rates_are_refused(served: LabHost) -> None:
    large = "head -c 53000000 /dev/zero | "
    status = "-o /dev/null -w '%{http_code} %{http_version}'"
    assert served.run(f"{large}{CURL} {status} -T - {SITE}/x").stdout == "413 2"
    many = f"{CURL} -Z -o /dev/null -w '%{{http_code}}\\n' '{SITE}/api/tts?[1-40]'"
    assert set(served.run(many).stdout.split()) == {"200", "429"}


def test_port_80_redirects_to_https_except_for_acme_challenges(served: LabHost) -> None:
    plain = "curl -s --max-time 20 -H 'Host: tts.example.com' http://127.0.0.1"
    shown = served.run(f"{plain}/x?y -o /dev/null -w '%{{http_code}} %{{redirect_url}}'").stdout
    assert shown == "301 https://tts.example.com/x?y"
    challenge = "/.well-known/acme-challenge/t"
    assert served.run(f"{plain}{challenge}").stdout == "token\n"


def test_a_site_for_any_name_wins_over_the_distributions_default(served: LabHost) -> None:
    assert "default_server" in served.run("cat /etc/nginx/sites-enabled/default").stdout
    for name in ("whatever.example.org", "127.0.0.1"):
        request = served.run(f"curl -s --max-time 20 -H 'Host: {name}' http://127.0.0.1/x").stdout
        assert json.loads(request)["headers"]["host"] == name
