"""`gpuhost check` against a real SSH server: good hosts, and every way in which one is not good."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpuhost.checks.registry import all_checks, run_checks
from gpuhost.settings import Settings
from tests.cli.conftest import GPUHOST, Workplace
from tests.cli.sshd import ADDRESSES, REAL, Sshd
from tests.recorded import snapshot

GOOD, OTHER, THIRD, FOURTH, FIFTH = ADDRESSES[:5]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Accepts connections and never says a word."""
    with socket.socket() as listener:
        listener.bind((GOOD, 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind((GOOD, 0))
        return int(listener.getsockname()[1])


def reason(workplace: Workplace, data: dict[str, Any], *options: str) -> tuple[str, str]:
    """The status and the reason of one bad host, next to which a good one goes on."""
    data = {"ssh_port": 22, **data}
    run = workplace.check({GOOD: data}, *options)
    host = run.host(GOOD)
    assert run.exit == 3
    assert host["findings"] == []
    assert run.err == ""
    return host["status"], host["reason"]


def test_findings_are_those_of_the_checks(workplace: Workplace, sshd: Sshd) -> None:
    run = workplace.check({GOOD: sshd.login(sshd.recorded("findings"))})
    expected = [f.to_json() for f in run_checks(snapshot({"host": "debian13"}), Settings())]
    assert run.host(GOOD)["findings"] == expected
    assert len(expected) == len(all_checks())


def test_one_exec_a_host(workplace: Workplace, sshd: Sshd) -> None:
    names = {address: f"one-exec-{address}" for address in ADDRESSES}
    hosts = {address: sshd.login(sshd.recorded(name)) for address, name in names.items()}
    run = workplace.check(hosts)
    assert [host["host"] for host in run.document["hosts"]] == list(ADDRESSES)
    assert {name: sshd.execs(name) for name in names.values()} == dict.fromkeys(names.values(), 1)


def test_the_real_collector(workplace: Workplace, sshd: Sshd) -> None:
    """On this machine, whatever it is: every check has its say, and nothing is cut short."""
    run = workplace.check({GOOD: sshd.login(REAL)})
    found = {finding["id"]: finding for finding in run.host(GOOD)["findings"]}
    assert set(found) == {check.id for check in all_checks()}
    assert found["memory.total"]["status"] in ("ok", "fail")


def test_the_settings_of_every_layer(workplace: Workplace, sshd: Sshd) -> None:
    (workplace.path / "group_data").mkdir()
    (workplace.path / "group_data" / "all.py").write_text("memory_min_gb = 4000\n")
    (workplace.path / "group_data" / "hosts.py").write_text("disk_min_free_gb = 5000\n")
    (workplace.path / "more").mkdir()
    (workplace.path / "more" / "all.py").write_text("memory_min_gb = 6000\n")
    hosts = {GOOD: sshd.login(sshd.recorded("layers"))}
    options = (["--group-data", "more"], ["--group-data", "more", "--data", "memory_min_gb=7000"])
    for option, memory in zip(([], *options), ("4000", "6000", "7000"), strict=True):
        run = workplace.check(hosts, *option)
        found = {finding["id"]: finding for finding in run.host(GOOD)["findings"]}
        assert memory in found["memory.total"]["expected"]
        assert "5000" in found["disk.free"]["expected"]


def test_one_bad_host_hides_no_other(
    workplace: Workplace, sshd: Sshd, closed_port: int, silent_port: int
) -> None:
    good = sshd.recorded("beside-bad-ones")
    run = workplace.check(
        {
            GOOD: sshd.login(good),
            OTHER: sshd.login(good, ssh_hostname=GOOD, ssh_port=closed_port),
            THIRD: sshd.login(good, ssh_hostname=GOOD, ssh_port=silent_port),
            FOURTH: sshd.login("exec sleep 600"),
            FIFTH: sshd.login(good, swap_size_gb="plenty"),
            "bad.invalid": sshd.login(good),
            ADDRESSES[5]: sshd.login(good),
        },
        "--timeout",
        "4",
    )
    statuses = [host["status"] for host in run.document["hosts"]]
    good_status = statuses[0]
    assert good_status in ("ok", "fail", "error")
    assert statuses[1:] == ["unreachable"] * 2 + ["error"] * 2 + ["unreachable", good_status]
    assert run.exit == 1
    assert sshd.execs("beside-bad-ones") == 2


def test_closed_port(workplace: Workplace, sshd: Sshd, closed_port: int) -> None:
    status, why = reason(workplace, sshd.login(ssh_port=closed_port))
    assert status == "unreachable"
    assert "Could not connect" in why


def test_accepts_and_says_nothing(workplace: Workplace, sshd: Sshd, silent_port: int) -> None:
    began = time.monotonic()
    status, why = reason(workplace, sshd.login(ssh_port=silent_port), "--timeout", "3")
    assert (status, why) == ("unreachable", "connecting: no answer within 3 s")
    assert time.monotonic() - began < 15


def test_hangs_after_the_login(workplace: Workplace, sshd: Sshd) -> None:
    began = time.monotonic()
    status, why = reason(workplace, sshd.login("exec sleep 600"), "--timeout", "3")
    assert (status, why) == ("error", "reading: no answer within 3 s")
    assert time.monotonic() - began < 15


def test_unknown_host_key_and_the_command_that_accepts_it(workplace: Workplace, sshd: Sshd) -> None:
    known = workplace.path / "known hosts"
    data = sshd.login(sshd.recorded("unknown-key"), ssh_known_hosts_file=str(known))
    status, why = reason(workplace, data)
    assert status == "unreachable"
    fingerprint = subprocess.run(
        ["ssh-keygen", "-lf", sshd.root / "host_key.pub"], capture_output=True, text=True
    ).stdout.split()[1]
    assert why.startswith(f"unknown host key: [{GOOD}]:{sshd.port} shows {fingerprint} (ssh-ed")
    assert not known.exists()
    workplace.run("sh", "-c", why.rpartition("accept it: ")[2])
    assert workplace.check({GOOD: data}).host(GOOD)["findings"]


@pytest.mark.parametrize("checking", ["no", "accept-new", "ask", "yes"])
def test_strict_whatever_the_inventory_says(
    workplace: Workplace, sshd: Sshd, checking: str
) -> None:
    known = workplace.path / "known_hosts"
    data = sshd.login(ssh_known_hosts_file=str(known), ssh_strict_host_key_checking=checking)
    assert reason(workplace, data)[1].startswith("unknown host key")
    assert not known.exists()


def test_changed_host_key_is_another_matter(workplace: Workplace, sshd: Sshd) -> None:
    known = workplace.path / "known_hosts"
    other = sshd.key("a key that is not the host's").with_suffix(".pub").read_text()
    known.write_text(f"[{GOOD}]:{sshd.port} {other}")
    data = sshd.login(sshd.recorded("changed-key"), ssh_known_hosts_file=str(known))
    status, why = reason(workplace, data)
    assert status == "unreachable"
    assert why.startswith(f"CHANGED host key: [{GOOD}]:{sshd.port} shows SHA256:")
    assert "listening in between" in why
    workplace.run("sh", "-c", why.rpartition("forget the old key: ")[2])
    assert reason(workplace, data)[1].startswith("unknown host key")


def test_wrong_user_key(workplace: Workplace, sshd: Sshd) -> None:
    stranger = workplace.path / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", stranger], check=True)
    status, why = reason(workplace, sshd.login(ssh_key=str(stranger), ssh_user="nobody"))
    assert status == "unreachable"
    assert why.startswith("login refused for user nobody: Authentication failed")


def test_key_with_a_passphrase_is_not_asked_for(workplace: Workplace, sshd: Sshd) -> None:
    locked = workplace.path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", locked], check=True)
    status, why = reason(workplace, sshd.login(ssh_key=str(locked)))
    assert status == "unreachable"
    assert "ssh_key_password" in why


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"ssh_port": "22"}, "ssh_port = '22' (the inventory, host 127.0.0.2): str is not"),
        ({"ssh_password": 12345}, "ssh_password = *** (the inventory, host 127.0.0.2): int"),
        (
            {"swap_size_gb": "16"},
            "swap_size_gb = '16' (the inventory, host 127.0.0.2): \"auto\" or",
        ),
        ({"swap_sizegb": 16}, "swap_sizegb (the inventory, host 127.0.0.2) is no setting: did you"),
    ],
)
def test_wrong_data_of_one_host(
    workplace: Workplace, sshd: Sshd, data: dict[str, Any], said: str
) -> None:
    good = sshd.login(sshd.recorded("beside-wrong-data"))
    run = workplace.check({GOOD: {**good, **data}, OTHER: good})
    assert run.exit == 1
    assert run.host(GOOD)["status"] == "error"
    assert run.host(GOOD)["reason"].startswith(said)
    assert "12345" not in run.out
    assert run.host(OTHER)["findings"]


def test_no_such_key_file(workplace: Workplace, sshd: Sshd) -> None:
    status, why = reason(workplace, sshd.login(ssh_key="missing"))
    assert (status, why) == ("unreachable", "No such private key file: missing")


@pytest.mark.parametrize(
    ("said", "pattern"),
    [
        ("printf 'This account is currently not available.\\n'", "currently not available"),
        ("printf 'caf\\351 \\377\\376 %s\\n' hello", "reply"),
        ("head -c 300000 /dev/urandom", "reply"),
        ("printf '\\033[31mred\\033]0;title\\007\\n'", r"it said: \[31mred"),
        ("exit 3", "it said: nothing|failed: nothing"),
        ("true", "it said: nothing|not whole|empty"),
    ],
)
def test_nonsense_instead_of_a_reading(
    workplace: Workplace, sshd: Sshd, said: str, pattern: str
) -> None:
    status, why = reason(workplace, sshd.login(f"cat >/dev/null; {said}"))
    assert status == "error"
    assert why.isprintable()
    assert re.search(pattern, why), why
    assert len(why) < 500


def test_sudo_that_wants_a_password(workplace: Workplace, sshd: Sshd) -> None:
    """`_sudo` in the data and no NOPASSWD on the host: pyinfra alone would ask on the terminal."""
    stand_in = workplace.path / "bin"
    stand_in.mkdir()
    (stand_in / "sudo").write_text("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    (stand_in / "sudo").chmod(0o755)
    data = sshd.login(f"PATH={stand_in}:$PATH; export PATH; {REAL}", _sudo=True)
    status, why = reason(workplace, data)
    assert status == "error"
    assert why.startswith("sudo wants a password; set _sudo_password")


def test_ssh_config(workplace: Workplace, sshd: Sshd) -> None:
    config = _ssh_config(workplace, sshd)
    run = workplace.check({"plain": {"ssh_config_file": str(config)}})
    assert run.host("plain")["findings"]


def test_proxyjump(workplace: Workplace, sshd: Sshd) -> None:
    """The name of the target means nothing here: only the jump host reaches it."""
    config = _ssh_config(workplace, sshd)
    run = workplace.check({"behind": {"ssh_config_file": str(config)}})
    assert run.host("behind")["findings"]
    log = (sshd.root / "sshd.log").read_text()
    assert log.count("Accepted publickey") >= 2


def test_a_name_of_ssh_config_is_a_host(workplace: Workplace, sshd: Sshd) -> None:
    (workplace.path / ".ssh").mkdir()
    (workplace.path / ".ssh" / "config").write_text(_ssh_config(workplace, sshd).read_text())
    run = workplace.gpuhost("check", "behind", "--json")
    assert run.host("behind")["findings"]


def test_unknown_key_of_the_jump_host(workplace: Workplace, sshd: Sshd) -> None:
    """pyinfra alone would ask about a hop on the terminal."""
    empty = workplace.path / "empty"
    empty.touch()
    config = _ssh_config(workplace, sshd, known_hosts_of_jump=empty)
    run = workplace.check({"behind": {"ssh_config_file": str(config)}})
    assert run.exit == 3
    assert f"unknown host key: [{OTHER}]:{sshd.port}" in run.host("behind")["reason"]


def _ssh_config(workplace: Workplace, sshd: Sshd, known_hosts_of_jump: Path | None = None) -> Path:
    login = sshd.login(sshd.recorded("ssh_config"))
    common = f"  User {login['ssh_user']}\n  Port {sshd.port}\n  IdentityFile {login['ssh_key']}\n"
    known = login["ssh_known_hosts_file"]
    config = workplace.path / "ssh_config"
    config.write_text(
        f"Host plain\n  HostName {GOOD}\n  UserKnownHostsFile {known}\n{common}"
        f"Host jump\n  HostName {OTHER}\n"
        f"  UserKnownHostsFile {known_hosts_of_jump or known}\n{common}"
        f"Host behind\n  HostName {THIRD}\n  UserKnownHostsFile {known}\n"
        f"  ProxyJump jump\n{common}"
    )
    return config


def test_interrupted(workplace: Workplace, sshd: Sshd) -> None:
    """Ctrl-C: what is known so far, complete JSON, and a status that is not success."""
    inventory = workplace.inventory(
        {
            GOOD: sshd.login(sshd.recorded("interrupted")),
            OTHER: sshd.login("touch hanging; exec sleep 600"),
        }
    )
    process = subprocess.Popen(
        [GPUHOST, "check", inventory, "--json"],
        cwd=workplace.path,
        env=workplace.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not sshd.count_file("interrupted").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err == ""
    first, second = json.loads(out)["hosts"]
    assert first["findings"]
    assert (second["status"], second["reason"]) == ("error", "interrupted before it was done")
