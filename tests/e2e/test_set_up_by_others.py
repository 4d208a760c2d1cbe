"""Hosts that others set up: their package sources and kernel parameters, with the real tools."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import jinja2
import pytest
import yaml
from pyinfra.api import StringCommand

from gpuhost.domain.apt.archive import Distribution
from gpuhost.domain.apt.archive_keys import FINGERPRINTS
from gpuhost.domain.apt.documents import entries, own_archives
from gpuhost.domain.apt.entry import SourceFile
from gpuhost.domain.apt.openpgp import fingerprints
from gpuhost.remote.apt import apt_install, apt_remove
from tests.apt.test_refused import CASES, complaint_of_apt, files_of, is_refused
from tests.e2e.commands import check, deploy
from tests.lab.fixtures import Hosts
from tests.lab.hosts import Completed, LabHost
from tests.lab.images import RELEASES
from tests.lab.lab import HostSpec, Lab

pytestmark = [pytest.mark.lab, pytest.mark.matrix]

SOURCES = "/etc/apt/sources.list.d"
BY_ANSIBLE = f"{SOURCES}/download_docker_com_linux_debian.list"
LIST = "/etc/apt/sources.list"
REFUSED = "E: The list of sources could not be read."
SYSCTL = yaml.safe_load((Path(__file__).parents[1] / "snapshot" / "sysctl.yaml").read_text())
# A parameter of the host's own network, so that no other host of this machine sees a change.
WORDS = {
    "KEY": "net.ipv4.ip_default_ttl",
    "SLASHED": "net/ipv4/ip_default_ttl",
    "GLOB": "net.ipv4.ip_default_*",
}
UNSET = "64"


@pytest.fixture(params=RELEASES)
def host(request: pytest.FixtureRequest, hosts: Hosts) -> LabHost:
    return hosts(HostSpec(f"others-{request.param}", request.param))[0]


@pytest.fixture
def trixie(hosts: Hosts) -> LabHost:
    return hosts(HostSpec("others-trixie", "trixie"))[0]


def test_dockers_archive_in_a_file_of_another_name(host: LabHost, lab: Lab) -> None:
    """apt never refuses its sources because of gpuhost, and nothing of others is lost."""
    release = host.state.release
    docker = f"deb [arch=amd64] {lab.repository.base}/docker-ce/linux/debian/ {release} stable"
    theirs = f"{docker}\n".encode()
    host.put(BY_ANSIBLE, theirs)
    other = "deb [trusted=yes] file:/srv/packages ./"
    before = host.run(f"cat {LIST} 2>/dev/null; true").stdout
    mine = f"{before}{other}\n{docker.replace('[', '[signed-by=/usr/share/keyrings/k.gpg ')}\n"
    host.run("mkdir -p /srv/packages && touch /srv/packages/Packages")

    run = deploy(host, deploy="tests/e2e/docker_alone.py")
    assert run.status == 0, run.stderr
    assert f"docker: puts {BY_ANSIBLE}:1 aside" in run.stderr
    assert apt_update(host) == ""
    assert host.run(f"cat /var/lib/gpuhost/apt/clashing/{Path(BY_ANSIBLE).name}").stdout == (
        theirs.decode()
    )

    # As an older gpuhost left it, and the same line in sources.list: the clash is a real one.
    host.put(BY_ANSIBLE, theirs)
    host.put(LIST, mine.encode())
    assert REFUSED in apt_update(host)
    found = check(host).findings
    number = len(mine.splitlines())
    assert f"{LIST}:{number} and " in found["apt.readable"]["evidence"]
    assert (
        found["docker.repository"]["actual"] == f"also defined in {LIST}:{number}, {BY_ANSIBLE}:1"
    )
    repaired = deploy(host, deploy="tests/e2e/apt_alone.py")
    assert repaired.changed["Broken repositories"] == [host.name]
    assert apt_update(host) == ""
    assert host.run(f"cat {LIST}").stdout.splitlines()[-2:] == [
        other,
        "# put aside by gpuhost, docker.sources has it: " + mine.splitlines()[-1],
    ]
    assert check(host).status["docker.repository"] == "ok"
    again = deploy(host, deploy="tests/e2e/docker_alone.py")
    assert (again.status, again.changed) == (0, {}), again.stderr

    removed = deploy(host, deploy="deploys/remove.py", remove="docker")
    assert removed.status == 0, removed.stderr
    assert host.run(f"cat {LIST}").stdout == mine
    assert host.run(f"cat {BY_ANSIBLE}").stdout == theirs.decode()
    host.run(f"rm -f {BY_ANSIBLE} && sed -i '/srv.packages/d; /docker-ce/d' {LIST}")


def apt_update(host: LabHost) -> str:
    """The errors of `apt-get update`."""
    out = host.run("apt-get -q update 2>&1; true", timeout=300).stdout
    return "\n".join(line for line in out.splitlines() if line.startswith("E:"))


def test_each_release_of_apt_refuses_the_same_sources(host: LabHost) -> None:
    """The cases of tests/apt, which ask the apt of the machine that runs them."""
    version = host.run("apt-get --version").stdout
    for case in CASES:
        root = "/tmp/refused"
        host.run(f"rm -rf {root} && mkdir -p {root}/state {root}/etc/apt/sources.list.d")
        for file in files_of(case):
            host.put(root + file.path, file.content.encode())
        done = host.run(
            f"LC_ALL=C apt-get indextargets -oDir::State={root}/state -oAPT::Architecture=amd64"
            f" -oDir::Etc::SourceList={root}{LIST} -oDir::Etc::SourceParts={root}{SOURCES}",
            check=False,
        )
        assert (REFUSED in done.stderr) == is_refused(case, version), (case, done.stderr)


def test_the_value_that_systemd_sets_at_boot(host: LabHost) -> None:
    """The cases of tests/snapshot, by the real systemd-sysctl."""
    found = {}
    for case in SYSCTL:
        host.run("rm -rf /etc/sysctl.d /run/sysctl.d /usr/local/lib/sysctl.d /etc/sysctl.conf")
        host.run("rm -f /usr/lib/sysctl.d/90-a.conf /usr/lib/sysctl.d/50-a.conf")
        for path, text in case["files"].items():
            words = re.sub("|".join(WORDS), lambda word: WORDS[word[0]], text)
            host.put(path, words.encode())
        for path, target in case.get("links", {}).items():
            host.run(f"mkdir -p /etc/sysctl.d && ln -s {target} {path}")
        host.run(f"sysctl -q -w {WORDS['KEY']}={UNSET}")
        host.run("/usr/lib/systemd/systemd-sysctl", check=False)
        value = host.run(f"sysctl -n {WORDS['KEY']}").stdout.strip()
        found[case["name"]] = None if value == UNSET else value
    assert found == {case["name"]: case["value"] for case in SYSCTL}


def test_the_keys_of_both_distributions(trixie: LabHost) -> None:
    """Debian packages Ubuntu's keyring too."""
    names = ("debian-archive-keyring", "ubuntu-keyring")
    unpack(trixie, *names)
    for distribution in FINGERPRINTS:
        path = f"/tmp/packages/usr/share/keyrings/{distribution}-archive-keyring.gpg"
        keyring = base64.b64decode(trixie.run(f"base64 {path}").stdout)
        others = {"843938DF228D22F7B3742BC0D94AA3F0EFE21092"}  # Ubuntu's key of CD images
        assert set(fingerprints(keyring)) - others == FINGERPRINTS[distribution]


@pytest.mark.parametrize("key", [None, "/etc/apt/cloud-init.gpg.d/primary.gpg"])
def test_what_cloud_init_writes(trixie: LabHost, tmp_path: Path, key: str | None) -> None:
    """Its own templates, with a mirror and with a key that the user gave."""
    unpack(trixie, "cloud-init")
    for id, codename, suites in (("ubuntu", "noble", 4), ("debian", "trixie", 4)):
        for name, file in ((".deb822.tmpl", f"{SOURCES}/{id}.sources"), (".tmpl", LIST)):
            path = f"/tmp/packages/etc/cloud/templates/sources.list.{id}{name}"
            template = trixie.run(f"tail -n +2 {path}").stdout
            text = jinja2.Template(template, trim_blocks=False).render(
                mirror=f"http://eu.clouds.example.invalid/{id}",
                security=f"http://security.example.invalid/{id}",
                codename=codename,
                primary_key=key,
            )
            files = [SourceFile(file, text)]
            own = own_archives(files, Distribution(id, codename, "amd64"))
            every = [entry for _, entry in entries(files)]
            in_use = {suite for entry in every if own.has(entry) for suite in entry.suites}
            assert all(map(own.has, every)) and len(in_use) == suites, (name, text)
            assert complaint_of_apt(files, tmp_path / f"{id}{name}") == ""


def unpack(host: LabHost, *packages: str) -> None:
    """The content of the archive's own packages, in /tmp/packages; nothing is installed."""
    host.run(
        "apt-get -q update && rm -rf /tmp/packages && mkdir -p /tmp/packages && cd /tmp/packages"
        f" && apt-get -q download {' '.join(packages)}"
        ' && for package in *.deb; do dpkg-deb -x "$package" .; done',
        timeout=300,
    )


def test_no_package_of_others_is_removed(trixie: LabHost) -> None:
    """Debian 13's ufw breaks both: apt removes them for it."""
    theirs = ["iptables-persistent", "netfilter-persistent"]
    trixie.run(
        f"apt-get -q update; DEBIAN_FRONTEND=noninteractive apt-get -qy install {' '.join(theirs)}",
        timeout=300,
    )
    refused = apt(trixie, apt_install(["ufw"]))
    assert refused.status != 0
    assert f"apt would also remove {' '.join(theirs)};" in refused.stderr
    needed = apt(trixie, apt_remove(theirs[1:]))
    assert needed.status != 0
    assert f"apt would also remove {theirs[0]};" in needed.stderr
    assert trixie.run(f"dpkg -l {' '.join(theirs)} | grep -c ^ii").stdout == "2\n"
    assert apt(trixie, apt_install(["ufw"], replaces=theirs)).status == 0
    assert trixie.run(f"dpkg -l ufw {' '.join(theirs)} | grep ^ii").stdout.split()[1] == "ufw"


def apt(host: LabHost, command: StringCommand) -> Completed:
    stdin = str(command.connector_arguments["_stdin"]).encode()
    return host.run(str(command), stdin=stdin, timeout=300, check=False)
