"""`gpuhost check` against a real SSH server: good hosts, and hosts with every kind of error."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from gpuhost.checks.registry import all_checks, run_checks
from gpuhost.settings import Settings
from tests.cli.conftest import GPUHOST, Run, Workplace
from tests.cli.sshd import ADDRESSES, REAL, Sshd
from tests.recorded import snapshot_of

pytestmark = pytest.mark.slow

GOOD, OTHER, THIRD = ADDRESSES[:3]


def test_findings_are_those_of_the_checks(workplace: Workplace, sshd: Sshd) -> None:
    run = workplace.check({GOOD: sshd.login(sshd.recorded("findings"))})
    expected = [f.to_json() for f in run_checks(snapshot_of({"host": "debian13"}), Settings())]
    assert run.host(GOOD)["findings"] == expected
    assert len(expected) == len(all_checks())


def test_each_host_is_read_once(workplace: Workplace, sshd: Sshd) -> None:
    names = {address: f"one-exec-{address}" for address in ADDRESSES}
    hosts = {address: sshd.login(sshd.recorded(name)) for address, name in names.items()}
    run = workplace.check(hosts)
    assert [host["host"] for host in run.document["hosts"]] == list(ADDRESSES)
    assert {name: sshd.execs(name) for name in names.values()} == dict.fromkeys(names.values(), 1)


def test_the_real_collector(workplace: Workplace, sshd: Sshd) -> None:
    """On any machine, every check has a finding."""
    run = workplace.check({GOOD: sshd.login(REAL)})
    found = {finding["id"]: finding for finding in run.host(GOOD)["findings"]}
    assert set(found) == {check.id for check in all_checks()}
    assert found["memory.total"]["status"] in ("ok", "fail")


def test_the_settings_of_every_layer(workplace: Workplace, sshd: Sshd) -> None:
    for directory, name, text in (
        ("group_data", "all.py", "memory_min_gb = 4000\n"),
        ("group_data", "hosts.py", "disk_min_free_gb = 5000\n"),
        ("more", "all.py", "memory_min_gb = 6000\n"),
    ):
        (workplace.path / directory).mkdir(exist_ok=True)
        (workplace.path / directory / name).write_text(text)
    workplace.inventory({GOOD: sshd.login(sshd.recorded("layers"))})
    check = ["check", "inventory.py", "--json"]
    more = [*check, "--group-data", "more"]
    runs = workplace.many(check, more, [*more, "--data", "memory_min_gb=7000"])
    for run, memory in zip(runs, ("4000", "6000", "7000"), strict=True):
        found = {finding["id"]: finding for finding in run.host(GOOD)["findings"]}
        assert memory in found["memory.total"]["expected"]
        assert "5000" in found["disk.free"]["expected"]


# Each is a host of the same run, between good ones: status, pattern of the reason.
BAD = {
    "closed": ("unreachable", r"^Could not connect \("),
    "unresolved": ("unreachable", "^Could not resolve hostname"),
    "stranger": ("unreachable", "^login refused for user nobody: .*; set ssh_user and ssh_key"),
    "locked key": ("unreachable", "ssh_key_password"),
    "no key": ("unreachable", "^No such private key file: missing$"),
    "unknown no": ("unreachable", "^unknown host key: "),
    "unknown ask": ("unreachable", "^unknown host key: "),
    "unknown accept-new": ("unreachable", "^unknown host key: "),
    "sudo": ("error", r"^sudo needs a password; set _sudo_password"),
    "nologin": ("error", "its output: This account is currently not available.$"),
    "not utf-8": ("error", "^the host's reply is incomplete"),
    "noise": ("error", "^the host's reply is incomplete"),
    "escapes": ("error", r"its output: \[31mred \]0;title$"),
    "exit 3": ("error", "^the reading failed: no output$"),
    "nothing": ("error", "^the host's reply is (empty|incomplete).*its output: none$"),
    "port": ("error", r"^ssh_port = '22' \(the inventory, host port\): str is not an instance of"),
    "password": ("error", r"^ssh_password = \*\*\* \(the inventory, host password\): int is not"),
    "setting": (
        "error",
        r"^swap_size_gb = '16' \(the inventory, host setting\): \"auto\" or a num",
    ),
    "near miss": ("error", r"^unknown setting swap_sizegb \(the inventory, host near miss\): did"),
}


# Behaves like sudo with a password and SUDO_ASKPASS (sudo -A).
SUDO_WITH_PASSWORD = """#!/bin/sh
case "$*" in *-A*) ;; *) echo 'sudo: a password is required' >&2; exit 1;; esac
[ "$("$SUDO_ASKPASS")" = hunter2 ] || { echo 'sudo: 1 incorrect password attempt' >&2; exit 1; }
while [ "${1#-}" != "$1" ]; do shift; done
exec "$@"
"""


def _bad_hosts(directory: Path, sshd: Sshd, closed_port: int) -> dict[str, dict[str, Any]]:
    for name, phrase in (("stranger", ""), ("locked", "secret")):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", phrase, "-f", str(directory / name)]
        subprocess.run(command, check=True)
    fake_sudo = directory / "bin" / "sudo"
    fake_sudo.parent.mkdir()
    fake_sudo.write_text(SUDO_WITH_PASSWORD)
    fake_sudo.chmod(0o755)
    with_sudo = f"PATH={fake_sudo.parent}:$PATH; export PATH; {REAL}"
    good = sshd.recorded("among-bad-hosts")

    def replies(command: str) -> dict[str, Any]:
        return sshd.login(f"cat >/dev/null; {command}")

    def unknown(checking: str) -> dict[str, Any]:
        file = str(directory / "unknown")
        return sshd.login(ssh_known_hosts_file=file, ssh_strict_host_key_checking=checking)

    return {
        "good": sshd.login(good),
        "closed": sshd.login(ssh_port=closed_port),
        "unresolved": sshd.login(ssh_hostname="nowhere.invalid"),
        "stranger": sshd.login(ssh_key=str(directory / "stranger"), ssh_user="nobody"),
        "locked key": sshd.login(ssh_key=str(directory / "locked")),
        "no key": sshd.login(ssh_key="missing"),
        "unknown no": unknown("no"),
        "unknown ask": unknown("ask"),
        "unknown accept-new": unknown("accept-new"),
        "sudo": sshd.login(with_sudo, _sudo=True),
        "nologin": replies("echo 'This account is currently not available.'"),
        "not utf-8": replies("printf 'caf\\351 \\377\\376 %s\\n' hello"),
        "noise": replies("head -c 300000 /dev/urandom"),
        "escapes": replies("printf '\\033[31mred\\033]0;title\\007\\n'"),
        "exit 3": replies("exit 3"),
        "nothing": replies("true"),
        "port": sshd.login(good, ssh_port="22"),
        "password": sshd.login(good, ssh_password=12345),
        "setting": sshd.login(good, swap_size_gb="16"),
        "near miss": sshd.login(good, swap_sizegb=16),
        "sudo password": sshd.login(with_sudo, _sudo=True, _sudo_password="hunter2"),
        "good too": sshd.login(good),
    }


@pytest.fixture(scope="module")
def among_bad_hosts(tmp_path_factory: pytest.TempPathFactory, sshd: Sshd, closed_port: int) -> Run:
    directory = tmp_path_factory.mktemp("bad-hosts")
    hosts = _bad_hosts(directory, sshd, closed_port)
    assert set(hosts) == {"good", *BAD, "sudo password", "good too"}
    hosts = {name: {"ssh_hostname": GOOD, **data} for name, data in hosts.items()}
    run = Workplace(directory).check(hosts)
    assert not (directory / "unknown").exists(), "a key was accepted"
    return run


@pytest.mark.parametrize("name", BAD)
def test_a_bad_host_has_its_own_row(among_bad_hosts: Run, name: str) -> None:
    host = among_bad_hosts.host(name)
    status, pattern = BAD[name]
    assert (host["status"], host["findings"]) == (status, [])
    assert re.search(pattern, host["reason"]), host["reason"]
    assert host["reason"].isprintable()
    assert len(host["reason"]) < 700


def test_bad_hosts_do_not_affect_good_ones(among_bad_hosts: Run, sshd: Sshd) -> None:
    assert among_bad_hosts.host("good")["findings"] == among_bad_hosts.host("good too")["findings"]
    assert len(among_bad_hosts.host("good")["findings"]) == len(all_checks())
    assert sshd.execs("among-bad-hosts") == 2
    assert among_bad_hosts.exit == 1
    assert among_bad_hosts.err == ""
    assert "12345" not in among_bad_hosts.out


def test_a_sudo_password_through_pyinfras_own_options(among_bad_hosts: Run) -> None:
    assert len(among_bad_hosts.host("sudo password")["findings"]) == len(all_checks())
    assert "hunter2" not in among_bad_hosts.out


def test_hosts_that_hang(workplace: Workplace, sshd: Sshd, silent_port: int) -> None:
    hosts = {
        GOOD: sshd.login(ssh_port=silent_port),
        OTHER: sshd.login("exec sleep 600"),
        THIRD: sshd.login(sshd.recorded("beside-hanging-ones")),
    }
    began = time.monotonic()
    run = workplace.check(hosts, "--timeout", "8")
    assert time.monotonic() - began < 30
    silent, hanging, good = run.document["hosts"]
    assert (silent["status"], silent["reason"]) == (
        "unreachable",
        "connecting: no answer within 8 s",
    )
    assert (hanging["status"], hanging["reason"]) == ("error", "reading: no answer within 8 s")
    assert good["findings"]
    assert run.exit == 3


def test_unknown_host_key_and_the_command_that_accepts_it(workplace: Workplace, sshd: Sshd) -> None:
    known = workplace.path / "known hosts"
    hosts = {GOOD: sshd.login(sshd.recorded("unknown-key"), ssh_known_hosts_file=str(known))}
    why = workplace.check(hosts).host(GOOD)["reason"]
    fingerprint = subprocess.run(
        ["ssh-keygen", "-lf", sshd.root / "host_key.pub"], capture_output=True, text=True
    ).stdout.split()[1]
    assert why.startswith(f"unknown host key: [{GOOD}]:{sshd.port} shows {fingerprint} (ssh-ed")
    assert not known.exists()
    workplace.run("sh", "-c", why.rpartition("accept it: ")[2])
    assert workplace.check(hosts).host(GOOD)["findings"]


def test_a_changed_host_key_is_a_warning_of_its_own(workplace: Workplace, sshd: Sshd) -> None:
    known = workplace.path / "known_hosts"
    other = sshd.key("a key that is not the host's").with_suffix(".pub").read_text()
    known.write_text(f"[{GOOD}]:{sshd.port} {other}")
    hosts = {GOOD: sshd.login(sshd.recorded("changed-key"), ssh_known_hosts_file=str(known))}
    run = workplace.check(hosts)
    why = run.host(GOOD)["reason"]
    assert run.host(GOOD)["status"] == "unreachable"
    assert why.startswith(f"CHANGED host key: [{GOOD}]:{sshd.port} shows SHA256:")
    assert "intercepting the connection" in why
    workplace.run("sh", "-c", why.rpartition("remove the old key: ")[2])
    assert workplace.check(hosts).host(GOOD)["reason"].startswith("unknown host key")


def test_ssh_config_and_proxyjump(workplace: Workplace, sshd: Sshd) -> None:
    """With an empty list of known hosts for the jump host, pyinfra alone would ask about it."""
    empty = workplace.path / "empty"
    empty.touch()
    config = str(_ssh_config(workplace.path / "ssh_config", sshd))
    refused = str(_ssh_config(workplace.path / "ssh_config_2", sshd, known_hosts_of_jump=empty))
    names = {
        "plain": {"ssh_config_file": config},
        "behind": {"ssh_config_file": config},
        "stopped": {"ssh_config_file": refused},
    }
    before = (sshd.root / "sshd.log").read_text().count("Accepted publickey")
    run = workplace.check(names)
    assert run.host("plain")["findings"] == run.host("behind")["findings"] != []
    assert f"unknown host key: [{OTHER}]:{sshd.port}" in run.host("stopped")["reason"]
    # One login each on the plain host, the jump host and the host behind it; "stopped" is refused.
    assert (sshd.root / "sshd.log").read_text().count("Accepted publickey") - before == 3


def test_a_name_of_ssh_config_is_a_host(workplace: Workplace, sshd: Sshd) -> None:
    (workplace.path / ".ssh").mkdir()
    _ssh_config(workplace.path / ".ssh" / "config", sshd)
    run = workplace.gpuhost("check", "behind", "--json")
    assert run.host("behind")["findings"]


def _ssh_config(file: Path, sshd: Sshd, known_hosts_of_jump: Path | None = None) -> Path:
    login = sshd.login(sshd.recorded("ssh_config"))
    known = login["ssh_known_hosts_file"]
    common = f"  User {login['ssh_user']}\n  Port {sshd.port}\n  IdentityFile {login['ssh_key']}\n"
    file.write_text(
        f"Host plain\n  HostName {GOOD}\n  UserKnownHostsFile {known}\n{common}"
        f"Host jump\n  HostName {OTHER}\n"
        f"  UserKnownHostsFile {known_hosts_of_jump or known}\n{common}"
        f"Host behind stopped\n  HostName {THIRD}\n  UserKnownHostsFile {known}\n"
        f"  ProxyJump jump\n{common}"
    )
    return file


def test_ctrl_c_shows_the_results_so_far(workplace: Workplace, sshd: Sshd) -> None:
    """Ctrl-C: the results so far, complete JSON, and an exit status that is not 0."""
    started = workplace.path / "started"
    inventory = workplace.inventory(
        {
            GOOD: sshd.login(sshd.recorded("interrupted")),
            OTHER: sshd.login(f"touch {started}; exec sleep 600"),
        }
    )
    # Progress on a terminal shows when the first host is done: then interrupt.
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [GPUHOST, "check", inventory, "--json"],
        cwd=workplace.path,
        env={**workplace.environment(), "TERM": "xterm", "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=its,
        text=True,
    )
    os.close(its)
    said = b""
    deadline = time.monotonic() + 40
    while not (started.exists() and b"1/2 hosts" in said):
        assert time.monotonic() < deadline, said
        said += _terminal_output(ours, 0.1)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    while more := _terminal_output(ours, 0):
        said += more
    os.close(ours)
    assert process.returncode == 130
    plain = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", said.decode()).splitlines()
    others = [line for line in plain if not re.match(r"\d/2 hosts |\s*$", line)]
    assert others == [], "progress, and nothing else"
    first, second = json.loads(out)["hosts"]
    assert first["findings"]
    assert (second["status"], second["reason"]) == ("error", "interrupted before it was done")


def _terminal_output(terminal: int, seconds: float) -> bytes:
    """Output on a terminal within this time; empty at its end."""
    if not select.select([terminal], [], [], seconds)[0]:
        return b""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""
