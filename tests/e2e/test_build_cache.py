"""The cache for apt inside builds, on hosts: it skips dead mirrors, and containers reach it.

Mirrors that Dockerfiles name are answered from those that work; HTTPS archives are passed on.
"""

from __future__ import annotations

from typing import Any

import pytest

from gpuhost.domain.apt.mirrors import ALL_HOSTS
from tests.e2e.commands import Run, check, deploy
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.images import RELEASES
from tests.lab.lab import HostSpec, Lab
from tests.lab.packages.mirrors import GOOD

pytestmark = [pytest.mark.lab, pytest.mark.matrix]

ALONE = "tests/e2e/build_alone.py"
FILES = "/etc/apt-cacher-ng /etc/gpuhost/build /etc/systemd/system/apt-cacher-ng.service.d"
# No listener, an unknown name, and a listener that accepts connections and never answers.
REFUSED, UNKNOWN, SILENT = "http://127.0.0.1:9", "http://mirror.invalid", "http://127.0.0.1:18084"
LISTENER = "systemd-run --unit=silent python3 -c 'import socket, time; " + (
    's = socket.create_server(("127.0.0.1", 18084)); time.sleep(100000)\''
)
# A mirror that has Ubuntu, which the lab's own has not.
UBUNTU = "http://127.0.0.1:18085"
UBUNTU_MIRROR = (
    "mkdir -p /srv/mirror/ubuntu/dists/noble && "
    "echo 'Suite: stand-in' >/srv/mirror/ubuntu/dists/noble/Release && systemd-run --unit=ubuntu "
    "python3 -m http.server --bind 127.0.0.1 --directory /srv/mirror 18085"
)
# apt as in a build: with its own lists, and the proxy of the environment.
APT = "http_proxy=http://172.17.0.1:3142 NO_PROXY='*' apt-get -q -o Dir::State::lists=/tmp/lists"
IMAGE = (
    "rm -rf /tmp/image && mkdir /tmp/image && cd /tmp/image && cp --parents -L /bin/bash "
    "$(ldd /bin/bash | grep -o '/[^ ]*') . 2>/dev/null; tar c . | docker import - bash"
)
PROXY = "http://172.17.0.1:3142"
CONNECT = "docker run --rm bash /bin/bash -c 'exec 3<>/dev/tcp/172.17.0.1/3142'"


def settings(lab: Lab) -> dict[str, Any]:
    mirrors = [SILENT, REFUSED, UNKNOWN, f"{lab.repository.base}/{GOOD}", UBUNTU]
    return {"apt_mirror": "auto", "apt_mirror_candidates": mirrors}


@pytest.fixture(scope="module")
def with_cache(lab: Lab, hosts: Hosts) -> dict[str, LabHost]:
    """A host of each release with an engine and the cache; most of its mirrors are dead."""
    booted = hosts(*(HostSpec(f"build-{release}", release) for release in RELEASES))
    for host in booted:
        host.run(LISTENER)
        host.run(UBUNTU_MIRROR)
    run = deploy(*booted, deploy=ALONE, **settings(lab))
    assert run.status == 0, run.stderr
    return {host.state.release: host for host in booted}


@pytest.fixture(params=RELEASES)
def host(request: pytest.FixtureRequest, with_cache: dict[str, LabHost]) -> LabHost:
    return with_cache[request.param]


def provision(host: LabHost, lab: Lab) -> Run:
    return deploy(host, deploy=ALONE, **settings(lab))


def verdict(host: LabHost, lab: Lab) -> str:
    return check(host, **settings(lab)).status["build.apt_cache"]


def test_it_is_installed_and_a_second_run_changes_nothing(host: LabHost, lab: Lab) -> None:
    assert verdict(host, lab) == "ok"
    run = provision(host, lab)
    assert (run.status, run.changed) == (0, {})


def test_packages_come_from_the_first_mirror_that_answers(host: LabHost, lab: Lab) -> None:
    host.run(f"mkdir -p /tmp/lists/partial && {APT} update && cd /tmp && {APT} download hostname")
    mirrors = host.run("cat /etc/apt-cacher-ng/backends_debian").stdout
    assert mirrors == f"{lab.repository.base}/{GOOD}/debian/\n"
    # The cache stores by repository, not by host: the request went to the mirrors.
    assert host.run("ls /var/cache/apt-cacher-ng/debrep/pool/main/h/hostname/").stdout


RELEASE_FILES = {
    "debian": ("dists/{release}/Release", "Suite: "),
    "debian-security": ("dists/{release}-security/Release", "Suite: "),
    "ubuntu": ("dists/noble/Release", "Suite: stand-in"),
}


@pytest.mark.parametrize("archive", RELEASE_FILES)
def test_every_mirror_that_a_dockerfile_may_name_is_answered_from_those_that_work(
    host: LabHost, archive: str
) -> None:
    path, expected = RELEASE_FILES[archive]
    file = f"{archive}/{path.format(release=host.state.release)}"
    names = [*ALL_HOSTS, "mirror.invalid"]
    answers = {
        name: host.run(f"curl -sS --fail -x {PROXY} http://{name}/{file}", check=False).stdout
        for name in names
    }
    assert [name for name, answer in answers.items() if expected not in answer] == []
    # The cache stores what it does not map under the server's own name.
    assert set(names) & set(host.run("ls /var/cache/apt-cacher-ng").stdout.split()) == set()


VENDOR = "vendor.lab.test"
# A vendor's archive, served with a certificate of its own CA, by a name that only the host knows.
SERVE_HTTPS = f"""set -e
mkdir -p /srv/https /root/vendor && cd /root/vendor
curl -sS --fail -O {{base}}/libnvidia-container/gpgkey
names=$(curl -sS --fail {{archive}}/Packages | sed -n 's/^Filename: //p')
for file in InRelease Packages $names; do
  curl -sS --fail -o "/srv/https/$file" "{{archive}}/$file"
done
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=vendor-ca -keyout ca.key \
  -out ca.crt -addext basicConstraints=critical,CA:TRUE
openssl req -newkey rsa:2048 -nodes -subj /CN={VENDOR} -keyout site.key -out site.csr
printf 'subjectAltName=DNS:{VENDOR}' >names
openssl x509 -req -in site.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names \
  -out site.crt
echo "$(hostname -I | cut -d' ' -f1) {VENDOR}" >>/etc/hosts
cat >serve.py <<'END'
import functools, http.server, ssl
# apt takes a connection that is closed after an answer for a broken one.
http.server.SimpleHTTPRequestHandler.protocol_version = "HTTP/1.1"
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="/srv/https")
server = http.server.ThreadingHTTPServer(("", 443), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("site.crt", "site.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
END
systemd-run --unit=vendor --working-directory=/root/vendor python3 serve.py
systemctl restart apt-cacher-ng
tar -C / --one-file-system --exclude=./proc --exclude=./sys --exclude=./srv --exclude=./tmp \
  --exclude=./var/cache --exclude=./var/lib/docker --exclude='./usr/*bin/*docker*' -c . |
  docker import - debian:own
"""
DOCKERFILE = f"""FROM debian:own
COPY ca.crt /usr/local/share/ca-certificates/
COPY gpgkey /usr/share/keyrings/vendor.asc
RUN mkdir -p /tmp /var/cache/apt/archives/partial && chmod 1777 /tmp && update-ca-certificates
RUN echo "deb [signed-by=/usr/share/keyrings/vendor.asc] https://{VENDOR} /" \
  >/etc/apt/sources.list.d/vendor.list
RUN apt-get -q -o APT::Update::Error-Mode=any update && \
  apt-get -q -y --no-install-recommends install libnvidia-container1 hostname
"""


def test_an_https_archive_installs_in_a_build(host: LabHost, lab: Lab) -> None:
    base = lab.repository.base
    archive = f"{base}/libnvidia-container/stable/deb/amd64"
    host.run(SERVE_HTTPS.format(base=base, archive=archive), timeout=300)
    build = (
        "cd /root/vendor && cat >Dockerfile && DOCKER_BUILDKIT=1 docker build --progress=plain "
        f"--no-cache --build-arg http_proxy={PROXY} --build-arg 'NO_PROXY=*' -t vendor . 2>&1"
    )
    said = host.run(build, stdin=DOCKERFILE.encode(), timeout=300, check=False)
    assert said.status == 0, said.stdout[-3000:]
    installed = host.run("docker run --rm vendor dpkg-query -W libnvidia-container1").stdout
    assert installed.split()[0] == "libnvidia-container1"
    # What a tunnel carries is not cached.
    assert "vendor.lab.test" not in host.run("ls /var/cache/apt-cacher-ng").stdout


def test_a_tunnel_leads_only_to_the_https_of_another_server(host: LabHost) -> None:
    for target in ("127.0.0.1:443", "localhost:443", f"{VENDOR}:22"):
        said = host.run(f"curl -sS -p -x {PROXY} https://{target}/", check=False)
        assert "403" in said.stderr, target


def test_it_listens_only_where_containers_reach_it(host: LabHost) -> None:
    host.run(IMAGE)
    assert host.run(CONNECT, check=False).status == 0
    listening = host.run("ss -Hltn 'sport = :3142'").stdout.split("\n")
    assert [line.split()[3] for line in listening if line] == ["172.17.0.1:3142"]


TAMPERS = {
    "stopped": "systemctl stop apt-cacher-ng",
    "not enabled at boot": "systemctl disable apt-cacher-ng",
    "listens on every address": "sed -i '/BindAddress/d' /etc/apt-cacher-ng/zzz_gpuhost.conf",
    "another mirror": "echo http://mirror.invalid >/etc/gpuhost/build/mirrors",
    "package removed": "apt-get -q -y remove apt-cacher-ng",
}


@pytest.mark.parametrize("fault", TAMPERS)
def test_a_change_by_hand_is_found_and_repaired(host: LabHost, lab: Lab, fault: str) -> None:
    host.run(TAMPERS[fault])
    assert verdict(host, lab) == "fail"
    assert provision(host, lab).status == 0
    assert verdict(host, lab) == "ok"


def test_removal(host: LabHost, lab: Lab) -> None:
    run = deploy(host, deploy="deploys/remove.py", remove="build")
    assert run.status == 0, run.stderr
    assert "gpuhost" not in host.run(f"find {FILES} -type f", check=False).stdout
    assert check(host).status["build.apt_cache"] == "skip"
    assert provision(host, lab).status == 0
