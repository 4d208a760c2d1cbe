"""Package sources on real hosts: changed to a mirror, changed by hand, repaired, and restored."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.commands import Run, Verdicts, check, deploy
from tests.lab.fixtures import Hosts
from tests.lab.hosts import LabHost
from tests.lab.lab import HostSpec, Lab
from tests.lab.packages.mirrors import BROKEN, GOOD, STALE

pytestmark = pytest.mark.lab

STEP = "Package sources"
LISTS = "/var/lib/apt/lists"
RECORD = "/var/lib/gpuhost/apt/record.json"
WHOLE = "/var/lib/gpuhost/apt/before"


@dataclass(frozen=True)
class Site:
    """A blank host, and the URLs of its mirrors."""

    host: LabHost
    base: str

    @property
    def good(self) -> str:
        return f"{self.base}/{GOOD}"

    @property
    def stale(self) -> str:
        return f"{self.base}/{STALE}"

    @property
    def broken(self) -> str:
        return f"{self.base}/{BROKEN}"

    @property
    def sources(self) -> str:
        if self.host.state.release == "trixie":
            return "/etc/apt/sources.list.d/debian.sources"
        return "/etc/apt/sources.list"

    def provision(self, **settings: Any) -> Run:
        return deploy(self.host, deploy="tests/e2e/apt_alone.py", **settings)

    def provisioned(self, **settings: Any) -> None:
        run = self.provision(**settings)
        assert run.status == 0, run.stderr
        assert run.changed == {STEP: [self.host.name]}

    def check(self, **settings: Any) -> Verdicts:
        return check(self.host, **settings)

    def read(self, path: str) -> str:
        return self.host.run(f"cat {path}").stdout

    def write(self, path: str, text: str) -> None:
        self.host.put(path, text.encode())

    def etc_apt(self) -> str:
        """Every file under /etc/apt: content, mode and owner."""
        return self.host.run(
            "find /etc/apt -type f | sort | while read -r f; do "
            'stat -c \'%n %a %U:%G\' "$f"; sha256sum <"$f"; done'
        ).stdout

    def fetched(self) -> str:
        """The names of the files that the last `apt-get update` fetched."""
        return self.host.run(f"ls {LISTS}").stdout

    def record(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self.read(RECORD))
        return record


def site(lab: Lab, hosts: Hosts, release: str) -> Site:
    (host,) = hosts(HostSpec(f"apt-{release}", release))
    host.reset()
    # Descriptions of packages in other languages are half of what an update downloads.
    host.put("/etc/apt/apt.conf.d/99-lab", b'Acquire::Languages "none";\n')
    return Site(host, lab.repository.base)


@pytest.fixture(params=["bookworm", "trixie"])
def blank(request: pytest.FixtureRequest, lab: Lab, hosts: Hosts) -> Site:
    """A host of each release: one has the one-line format, the other deb822."""
    return site(lab, hosts, request.param)


@pytest.fixture
def trixie(lab: Lab, hosts: Hosts) -> Site:
    return site(lab, hosts, "trixie")


@pytest.mark.every_release
def test_switch_to_a_mirror_and_restore_byte_for_byte(blank: Site) -> None:
    before = blank.etc_apt()
    blank.provisioned(apt_mirror=blank.good)
    assert f"{blank.good}/debian" in blank.read(blank.sources)
    assert f"{GOOD}_debian_dists_{blank.host.state.release}-updates_InRelease" in blank.fetched()
    assert f"{GOOD}_debian-security" not in blank.fetched()
    assert blank.check(apt_mirror=blank.good).status["apt.mirror"] == "ok"
    assert blank.check(apt_mirror=blank.good).status["apt.fresh"] == "ok"
    assert blank.host.run("cd /tmp && apt-get -q download hostname").status == 0

    again = blank.provision(apt_mirror=blank.good)
    assert (again.status, again.changed) == (0, {})

    assert "apt.mirror" in blank.check().failing
    blank.provisioned()
    assert blank.etc_apt() == before
    assert blank.host.run("find /var/lib/gpuhost/apt -type f").stdout == ""
    assert GOOD not in blank.fetched()
    assert "apt.mirror" not in blank.check().failing


def test_sources_changed_by_hand_are_repaired(blank: Site) -> None:
    declared = {"apt_mirror": blank.good}
    blank.provisioned(**declared)
    right = blank.etc_apt()
    before = blank.check(**declared)
    assert before.status["apt.mirror"] == "ok"

    blank.host.run(f"sed -i 's#{blank.good}#http://elsewhere.invalid#' {blank.sources}")
    tampered = blank.check(**declared)
    assert tampered.failing - before.failing == {"apt.mirror"}

    blank.provisioned(**declared)
    assert blank.etc_apt() == right
    assert blank.check(**declared).failing == before.failing


def test_a_dry_run_changes_nothing(trixie: Site) -> None:
    before = trixie.etc_apt()
    run = deploy(trixie.host, deploy="tests/e2e/apt_alone.py", dry=True, apt_mirror=trixie.good)
    assert run.planned == {STEP: [trixie.host.name]}
    assert trixie.etc_apt() == before


def test_a_mirror_is_rolled_back_with_the_error_of_apt_if_update_fails(blank: Site) -> None:
    before = blank.etc_apt()
    run = blank.provision(apt_mirror=blank.broken)
    assert run.status == 1
    assert f"E: Failed to fetch {blank.broken}/debian/dists/" in run.stderr
    assert "404" in run.stderr
    assert blank.etc_apt() == before
    assert blank.host.run("find /var/lib/gpuhost/apt -type f -not -name update.log").stdout == ""
    assert GOOD not in blank.fetched()
    assert "apt.mirror" in blank.check(apt_mirror=blank.broken).failing
    assert blank.host.run("cd /tmp && apt-get -q download hostname").status == 0


def test_auto_skips_unreachable_stale_and_broken_mirrors(trixie: Site) -> None:
    dead = f"{trixie.base}/no-such-mirror"
    candidates = [dead, trixie.stale, trixie.broken, trixie.good]
    declared = {"apt_mirror": "auto", "apt_mirror_candidates": candidates}
    assert trixie.check(**declared).status["apt.mirror"] == "fail"
    trixie.provisioned(**declared)
    record = trixie.record()
    assert record["base"] == trixie.good
    assert list(record["passed_over"]) == candidates[:3]
    assert "404" in record["passed_over"][dead]
    assert "days old, at most 7 are allowed" in record["passed_over"][trixie.stale]
    assert "apt-get update failed" in record["passed_over"][trixie.broken]
    assert trixie.check(**declared).status["apt.mirror"] == "ok"
    again = trixie.provision(**declared)
    assert (again.status, again.changed) == (0, {})


def test_auto_restores_the_original_if_no_candidate_works(trixie: Site) -> None:
    before = trixie.etc_apt()
    trixie.provisioned(apt_mirror=trixie.good)
    declared = {"apt_mirror": "auto", "apt_mirror_candidates": [trixie.stale, trixie.broken]}
    trixie.provisioned(**declared)
    assert trixie.etc_apt() == before
    verdicts = trixie.check(**declared)
    assert verdicts.status["apt.mirror"] == "warn"
    assert "days old" in verdicts.findings["apt.mirror"]["evidence"]
    assert trixie.provision(**declared).changed == {}


def test_auto_chooses_again_if_its_mirror_is_stale(trixie: Site) -> None:
    declared = {
        "apt_mirror": "auto",
        "apt_mirror_candidates": [trixie.good],
        "apt_mirror_max_age_days": 30,
    }
    trixie.provisioned(**declared)
    before = trixie.check(**declared)
    trixie.host.run(f"sed -i 's/^Date: .*/Date: Sat, 01 Aug 2026 08:00:00 UTC/' {LISTS}/*InRelease")
    assert trixie.check(**declared).failing - before.failing == {"apt.fresh"}
    trixie.provisioned(**declared)
    assert trixie.record()["base"] == trixie.good


def test_security_suites_use_the_mirror_only_if_declared(trixie: Site) -> None:
    before = trixie.etc_apt()
    declared = {"apt_mirror": trixie.good, "apt_mirror_security": True}
    trixie.provisioned(**declared)
    assert f"{GOOD}_debian-security_dists_trixie-security_InRelease" in trixie.fetched()
    assert trixie.check(**declared).status["apt.mirror"] == "ok"
    trixie.provisioned(apt_mirror=trixie.good)
    assert f"{GOOD}_debian-security" not in trixie.fetched()
    trixie.provisioned()
    assert trixie.etc_apt() == before


def test_an_archive_in_both_formats_is_active_once(trixie: Site) -> None:
    stanza = trixie.read(trixie.sources)
    archive = next(line.split()[1] for line in stanza.splitlines() if line.startswith("URIs:"))
    trixie.write("/etc/apt/sources.list", f"deb {archive} trixie main\n")
    assert trixie.check().status["apt.duplicates"] == "warn"
    before = trixie.etc_apt()
    trixie.provisioned(apt_mirror=trixie.good)
    assert "configured multiple times" not in trixie.host.run("apt-get update 2>&1").stdout
    assert trixie.check(apt_mirror=trixie.good).status["apt.duplicates"] == "ok"
    trixie.provisioned()
    assert trixie.etc_apt() == before


def test_a_broken_third_party_source_does_not_reject_the_mirror(trixie: Site) -> None:
    vendor = "deb [trusted=yes] http://127.0.0.1:9/debian stable main\n"
    trixie.write("/etc/apt/sources.list.d/vendor.list", vendor)
    trixie.provisioned(apt_mirror=trixie.good)
    assert trixie.read("/etc/apt/sources.list.d/vendor.list") == vendor
    assert trixie.check(apt_mirror=trixie.good).status["apt.mirror"] == "ok"


def test_the_mirror_lists_of_a_cloud_image(trixie: Site) -> None:
    stanza = trixie.read(trixie.sources)
    places = [line.split()[1] for line in stanza.splitlines() if line.startswith("URIs:")]
    lists = ["/etc/apt/mirrors/debian.list", "/etc/apt/mirrors/debian-security.list"]
    trixie.host.run("mkdir -p /etc/apt/mirrors /etc/cloud/cloud.cfg.d; touch /etc/cloud/cloud.cfg")
    for place, path in zip(places, lists, strict=True):
        trixie.write(path, f"{place}\n")
        stanza = stanza.replace(f"URIs: {place}\n", f"URIs: mirror+file://{path}\n")
    trixie.write(trixie.sources, stanza)
    before = trixie.etc_apt()

    assert trixie.provision(apt_mirror=trixie.broken).status == 1
    assert trixie.etc_apt() == before

    trixie.provisioned(apt_mirror=trixie.good)
    assert trixie.read(lists[0]) == f"{trixie.good}/debian\n"
    assert trixie.read(trixie.sources) == stanza
    assert "preserve_sources_list: true" in trixie.read("/etc/cloud/cloud.cfg.d/99-gpuhost-apt.cfg")
    verdicts = trixie.check(apt_mirror=trixie.good)
    assert (verdicts.status["apt.mirror"], verdicts.status["apt.cloud_init"]) == ("ok", "ok")

    trixie.provisioned()
    assert trixie.etc_apt() == before
    assert trixie.host.run("ls /etc/cloud/cloud.cfg.d").stdout == ""


def test_an_interrupted_change_is_rolled_back_first(trixie: Site) -> None:
    original = trixie.etc_apt()
    # The state after a loss of power: the file has the broken mirror, and all copies are complete.
    copy = f"{WHOLE}{trixie.sources}"
    trixie.host.run(
        f"mkdir -p $(dirname {copy}) && cp -p {trixie.sources} {copy} && "
        f"touch {WHOLE}/kept {WHOLE}/whole && "
        f"sed -i 's#^URIs: http://.*/debian/#URIs: {trixie.broken}/debian#' {trixie.sources}"
    )
    assert trixie.etc_apt() != original
    before = trixie.check()
    assert "apt.mirror" in before.failing
    trixie.provisioned()
    assert trixie.etc_apt() == original
    assert "apt.mirror" not in trixie.check().failing


def test_it_waits_for_another_apt(trixie: Site) -> None:
    lock = (
        "import fcntl, time; f = open('/var/lib/apt/lists/lock', 'w'); "
        "fcntl.lockf(f, fcntl.LOCK_EX); time.sleep(8)"
    )
    trixie.host.run(f'systemd-run --unit=holds-lock python3 -c "{lock}"')
    trixie.provisioned(apt_mirror=trixie.good)
    assert trixie.host.run("systemctl is-active holds-lock", check=False).stdout != "active\n"


def test_waiting_for_another_apt_has_a_limit(trixie: Site) -> None:
    before = trixie.etc_apt()
    lock = (
        "import fcntl, time; f = open('/var/lib/apt/lists/lock', 'w'); "
        "fcntl.lockf(f, fcntl.LOCK_EX); time.sleep(300)"
    )
    trixie.host.run(f'systemd-run --unit=holds-lock python3 -c "{lock}"')
    run = trixie.provision(apt_mirror=trixie.good, apt_lock_timeout_s=3)
    assert run.status == 1
    assert "held by process" in run.stderr
    assert trixie.etc_apt() == before
    trixie.host.run("systemctl stop holds-lock")
