"""The same ten hosts, with an Ansible playbook that checks the same: bench/ansible/."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import lab
from bench.fleet import CHECK, check, table
from bench.machine import machine
from bench.measure import Broken, Contender, Sample, run_in_rounds, timed
from bench.result import Goal, Result
from tests.e2e.commands import ROOT
from tests.lab.hosts import LabHost

ENVIRONMENT = ROOT / ".venv-bench"
HERE = Path(__file__).with_name("ansible")
PLAYBOOK = HERE / "check.yml"
ROUNDS = 3
ANSIBLE, MITOGEN = "ansible-playbook --check", "ansible-playbook --check, mitogen"
# The files of gpuhost on a host with a card.
FILES = (
    "/etc/apt/apt.conf.d/60gpuhost-updates",
    "/etc/apt/apt.conf.d/60gpuhost-nvidia",
    "/etc/apt/keyrings/docker.asc",
    "/etc/apt/keyrings/nvidia-container-toolkit.asc",
    "/etc/apt/sources.list.d/docker.sources",
    "/etc/apt/sources.list.d/nvidia-container-toolkit.sources",
    "/etc/docker/daemon.json",
    "/etc/gpuhost/firewall/published.v4",
    "/etc/gpuhost/firewall/published.v6",
    "/etc/systemd/system/gpuhost-firewall.service",
    "/etc/systemd/system/gpuhost-firewall-revert.service",
    "/etc/systemd/system/gpuhost-nvidia-persistence.service",
    "/etc/sysctl.d/zz-gpuhost-swap.conf",
    "/usr/local/lib/gpuhost/firewall",
)
TASKS = re.compile(r"^\s+- name: ", re.MULTILINE)


def ansible() -> Result:
    if not (ENVIRONMENT / "bin" / "ansible-playbook").exists():
        raise Broken("Ansible is not installed: run `make bench` or `make .venv-bench/.done`")
    hosts = lab.ready_hosts()
    with TemporaryDirectory() as folder:
        place = Path(folder)
        _write_inventory(place, hosts)
        _fetch_files(place, hosts)
        contenders = [
            check(),
            Contender(ANSIBLE, lambda: _play(place, len(hosts)), lambda: _log_out(place)),
            Contender(
                MITOGEN, lambda: _play(place, len(hosts), _mitogen()), lambda: _log_out(place)
            ),
        ]
        samples = run_in_rounds(contenders, ROUNDS)
        _log_out(place)
    ours = samples[CHECK].seconds
    return Result(
        part="ansible",
        title=f"{len(hosts)} lab hosts: the check against Ansible",
        machine=machine(),
        tables=(table(samples, CHECK),),
        goals=(
            Goal("faster than Ansible", samples[ANSIBLE].seconds / ours, ">=", 40),
            Goal("faster than Ansible with mitogen", samples[MITOGEN].seconds / ours, ">=", 12),
        ),
        notes=(
            f"{_versions()}; pipelining, forks 50, no ControlPersist connection of an earlier run. "
            "The playbook is bench/ansible/check.yml, "
            f"{len(TASKS.findall(PLAYBOOK.read_text()))} tasks: it expects the files that gpuhost "
            "wrote on one of the hosts, and python3-apt is installed on them for its modules. It "
            "finds nothing to change. It reports less than the checks: the difference, but neither "
            "its cause nor what to do.",
        ),
    )


def _play(place: Path, count: int, more: Mapping[str, str] | None = None) -> Sample:
    argv = [
        str(ENVIRONMENT / "bin" / "ansible-playbook"),
        "--check",
        "-i",
        str(place / "hosts.json"),
    ]
    argv += ["-e", f"@{place / 'files.json'}", str(PLAYBOOK)]
    env = {
        "ANSIBLE_CONFIG": str(HERE / "ansible.cfg"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(place / "control"),
        "ANSIBLE_HOME": str(place / "home"),
        **(more or {}),
    }
    return timed(argv, cwd=HERE, env=env, is_complete=lambda out: _is_clean(out, count))


def _is_clean(out: str, count: int) -> bool:
    """Whether the playbook ran to its end on every host, and would change nothing."""
    return len(re.findall(r"changed=0 +unreachable=0 +failed=0", out)) == count


def _mitogen() -> dict[str, str]:
    (plugins,) = ENVIRONMENT.glob("lib/python3*/site-packages/ansible_mitogen/plugins/strategy")
    return {"ANSIBLE_STRATEGY_PLUGINS": str(plugins), "ANSIBLE_STRATEGY": "mitogen_linear"}


def _write_inventory(place: Path, hosts: Sequence[LabHost]) -> None:
    variables = {
        host.name: {
            "ansible_host": host.state.address,
            "ansible_port": host.state.port,
            "ansible_user": host.state.user,
            "ansible_ssh_private_key_file": host.state.key,
            "ansible_ssh_common_args": "-F none -o StrictHostKeyChecking=yes "
            f"-o UserKnownHostsFile={host.state.known_hosts}",
            "ansible_python_interpreter": "/usr/bin/python3",
            "release": host.state.release,
            "swap_path": host.state.swap_path,
        }
        for host in hosts
    }
    (place / "hosts.json").write_text(json.dumps({"all": {"hosts": variables}}))


def _fetch_files(place: Path, hosts: Sequence[LabHost]) -> None:
    """Files as the deploy wrote them, for the playbook's `copy`: one list for each release."""
    firsts = {host.state.release: host for host in reversed(hosts)}
    listed = {release: list(_files_of(place, host)) for release, host in firsts.items()}
    (place / "files.json").write_text(json.dumps({"files": listed}))


def _files_of(place: Path, host: LabHost) -> Iterator[dict[str, str]]:
    for path in FILES:
        stat = host.run(f"stat -c '%a' {path}", check=False).stdout.strip()
        if stat:
            kept = place / "expected" / host.state.release / path.lstrip("/")
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(host.run(f"cat {path}").stdout)
            yield {"src": str(kept), "path": path, "mode": stat.zfill(4)}


def _log_out(place: Path) -> None:
    """Close the connections of the last run: a nightly check has no open connection either."""
    control = place / "control"
    control.mkdir(exist_ok=True)
    for socket in control.iterdir():
        argv = ["ssh", "-F", "none", "-o", f"ControlPath={socket}", "-O", "exit", "lab"]
        subprocess.run(argv, capture_output=True, timeout=20, check=False)


def _versions() -> str:
    argv = [str(ENVIRONMENT / "bin" / "pip"), "list", "--format=json"]
    env = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    pip = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True, env=env)
    versions = {package["name"]: package["version"] for package in json.loads(pip.stdout)}
    return " and ".join(f"{name} {versions[name]}" for name in ("ansible-core", "mitogen"))
