"""The nightly check on its host, as declared and with one change; its units, scripts and secret."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import FunctionCommand, StringCommand
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

from gpuhost.checks.registry import run_checks
from gpuhost.drift.applied import document
from gpuhost.drift.causes import explain
from gpuhost.drift.difference import Cause
from gpuhost.operations import drift
from gpuhost.operations.drift import NOTIFY
from gpuhost.plans.drift import HOME, KEY, SECRETS, TIMER, UNITS, host_files, secrets_text
from gpuhost.settings import Settings
from gpuhost.settings.merge import BadSettings, Layer, merge_layers
from gpuhost.snapshot.applied import APPLIED
from tests.needs import needs
from tests.recorded import raw, snapshot_of

DECLARED = Settings(
    drift_directory="/srv/gpuhost",
    drift_html="/var/www/drift/index.html",
    drift_metrics=f"{HOME}/metrics/gpuhost.prom",
)
URL = "feishu://s3cret-token"
OTHER = "dingtalk://another-s3cret"
OK = {
    **dict.fromkeys(
        ("drift.account", "drift.checkout", "drift.command", "drift.reports", "drift.timer"), "ok"
    ),
    "drift.key": "skip",
}
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def nobody_is_notified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NOTIFY, raising=False)


def a_control_host(
    settings: Settings = DECLARED,
    *,
    secret: str = "",
    secret_mode: str = "600",
    changed: str = "",
    without: str = "",
    **unit: str,
) -> dict[str, Any]:
    """A host where the nightly check is as declared, except for the given changes.

    + secret: its URL; changed: a managed file with other content; without: a missing file
    """
    texts = {file.path: (file.content, file.mode) for file in host_files(settings)}
    if secret:
        texts[SECRETS] = (secrets_text(secret), secret_mode)
    texts = {path: found for path, found in texts.items() if path != without}
    if changed:
        texts[changed] = ("by hand\n", texts[changed][1])
    values = {"ActiveState": "active", "UnitFileState": "enabled", **unit}
    account = ("755", HOME), ("755", f"{HOME}/metrics"), ("700", f"{HOME}/.ssh"), ("600", KEY)
    others = (
        ("755", "/srv/gpuhost/.venv/bin/gpuhost"),
        ("644", "/srv/gpuhost/inventory.py"),
        ("755", "/usr/bin/ssh-keygen"),
    )
    states = [f"{mode} gpuhost-drift gpuhost-drift 1 1 directory {path}" for mode, path in account]
    states += ["755 gpuhost-drift root 1 1 directory /var/www/drift"]
    states += [f"{mode} root root 1 1 regular file {path}" for mode, path in others]
    probes: dict[str, Any] = {
        "paths": states,
        "stat": [f"{mode} root root 1 1 regular file {path}" for path, (_, mode) in texts.items()],
        "hashes": [
            f"{hashlib.sha256(text.encode()).hexdigest()}  {path}"
            for path, (text, _) in texts.items()
        ],
        "units": [f"Id={TIMER}", "LoadState=loaded", *(f"{k}={v}" for k, v in values.items())],
    }
    written = {name: {"rc": 0, "out": "\n".join(lines)} for name, lines in probes.items()}
    return {"host": "debian13", "probes": written}


def statuses(case: dict[str, Any], settings: Settings = DECLARED) -> dict[str, str]:
    return {one.id: one.status.value for one in run_checks(snapshot_of(case), settings, ["drift"])}


def commands(case: dict[str, Any]) -> list[StringCommand | FunctionCommand]:
    """The commands of the operation on that host."""
    state = FakeState()
    host = create_host(state, facts={"snapshot.Snapshot": raw(case)})
    state.ops = {host: {}}
    with ctx_state.use(state), ctx_host.use(host):
        generator = drift.timer._inner(
            directory="/srv/gpuhost", html=DECLARED.drift_html, metrics=DECLARED.drift_metrics
        )
        return list(generator)


def lines(case: dict[str, Any]) -> list[str]:
    found = [one for one in commands(case) if isinstance(one, StringCommand)]
    return [one.get_raw_value().partition(" timeout -k 5 ")[2].partition(" ")[2] for one in found]


def test_nothing_changes_if_all_is_as_declared() -> None:
    assert statuses(a_control_host()) == OK
    assert commands(a_control_host()) == []


@pytest.mark.parametrize(
    ("today", "changed", "cause"),
    [
        (DECLARED, UNITS[0], Cause.DRIFT),
        (DECLARED.model_copy(update={"drift_at": "05:30"}), "", Cause.PENDING),
    ],
)
def test_a_manual_change_is_drift_and_a_declared_one_pending(
    today: Settings, changed: str, cause: Cause
) -> None:
    good = run_checks(snapshot_of(a_control_host()), DECLARED, ["drift"])
    record = document(None, DECLARED, good, at=1, by="ada@desk")
    snapshot = snapshot_of({**a_control_host(changed=changed), "files": {APPLIED: record}})
    found = [explain(one, snapshot, today, at=0) for one in run_checks(snapshot, today, ["drift"])]
    assert {one.finding.id: one.cause for one in found if one.cause} == {"drift.timer": cause}


@pytest.mark.parametrize(
    ("changed", "causes"),
    [
        ("", {"drift.command": Cause.PENDING, "drift.timer": Cause.PENDING}),
        (UNITS[1], {"drift.command": Cause.PENDING, "drift.timer": Cause.DRIFT}),
    ],
)
def test_a_checkout_that_is_declared_elsewhere_is_pending(
    changed: str, causes: dict[str, Cause]
) -> None:
    """The current reading does not read the old path."""
    today = DECLARED.model_copy(update={"drift_directory": "/srv/checkout"})
    good = run_checks(snapshot_of(a_control_host()), DECLARED, ["drift"])
    case = a_control_host(changed=changed)
    looked_at = [line for line in case["probes"]["paths"]["out"].splitlines() if "/srv" not in line]
    case["probes"]["paths"]["out"] = "\n".join(looked_at)
    case["files"] = {APPLIED: document(None, DECLARED, good, at=1, by="ada@desk")}
    snapshot = snapshot_of(case)
    found = [explain(one, snapshot, today, at=0) for one in run_checks(snapshot, today, ["drift"])]
    assert {one.finding.id: one.cause for one in found if one.cause} == causes


BROKEN = [
    pytest.param({"changed": UNITS[0]}, {"drift.timer": "fail"}, id="a unit changed by hand"),
    pytest.param({"without": UNITS[2]}, {"drift.timer": "fail"}, id="a unit is missing"),
    pytest.param({"ActiveState": "inactive"}, {"drift.timer": "fail"}, id="the timer is stopped"),
    pytest.param(
        {"UnitFileState": "disabled"}, {"drift.timer": "fail"}, id="the timer is disabled"
    ),
    pytest.param(
        {"secret": URL, "secret_mode": "644"},
        {"drift.timer": "fail"},
        id="a secret that everyone can read",
    ),
]


@pytest.mark.parametrize(("difference", "found"), BROKEN)
def test_a_change_is_found_and_repaired(difference: dict[str, Any], found: dict[str, str]) -> None:
    case = a_control_host(**difference)
    assert statuses(case) == {**OK, **found}
    assert isinstance(commands(case)[-1], FunctionCommand)


def test_only_what_is_wrong_is_repaired() -> None:
    assert lines(a_control_host(ActiveState="inactive")) == [
        f"env SYSTEMCTL_SKIP_SYSV=1 systemctl enable --root=/ {TIMER}",
        f"systemctl start {TIMER}",
    ]
    assert lines(a_control_host(secret=URL, secret_mode="644")) == [f"chmod 0600 {SECRETS}"]
    changed = lines(a_control_host(changed=UNITS[1]))
    assert changed[0] == "systemd-analyze calendar -- 04:00"
    assert changed[2:] == ["systemctl daemon-reload", f"systemctl restart {TIMER}"]


def test_the_secret_is_sent_on_stdin_to_a_file_of_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NOTIFY, URL)
    put, tell = commands(a_control_host())
    assert isinstance(put, StringCommand)
    assert isinstance(tell, FunctionCommand)
    assert put.connector_arguments["_stdin"] == f"GPUHOST_NOTIFY='{URL}'\n"
    assert put.get_raw_value().endswith(f"{SECRETS} 0600")
    assert URL not in put.get_raw_value() + str(tell.args)


def test_the_secret_is_kept_changed_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    with_secret = a_control_host(secret=URL)
    assert commands(with_secret) == []
    monkeypatch.setenv(NOTIFY, URL)
    assert commands(with_secret) == []
    monkeypatch.setenv(NOTIFY, OTHER)
    assert lines(with_secret)[0].endswith(f"{SECRETS} 0600")
    monkeypatch.setenv(NOTIFY, "")
    assert lines(with_secret) == [f"rm -f -- {SECRETS}"]
    assert commands(a_control_host()) == []


@pytest.mark.parametrize("url", ["feishu://a'b", "feishu://a\nLD_PRELOAD=/tmp/x"])
def test_a_secret_that_does_not_fit_into_a_unit_is_refused(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv(NOTIFY, url)
    assert commands(a_control_host()) == []


def test_the_account_can_write_where_the_unit_allows_it() -> None:
    (service, *_), no_reports = host_files(DECLARED), Settings(drift_directory="/srv/gpuhost")
    assert "ReadWritePaths=/var/www/drift\n" in service.content
    assert "ReadWritePaths" not in host_files(no_reports)[0].content
    assert host_files(no_reports)[0].content.count("--history") == 1


@needs("systemd-analyze")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    # Use a program that this machine has in place of the script of a control host.
    for file in host_files(DECLARED)[:3]:
        text = file.content.replace("/usr/local/lib/gpuhost/drift-failed", "/usr/bin/true")
        (tmp_path / file.path.rpartition("/")[2]).write_text(text)
    verify = ["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))]
    done = subprocess.run(verify, capture_output=True, text=True, timeout=60, check=False)
    said = [line for line in done.stderr.splitlines() if "gpuhost-drift" in line]
    assert said == []


@pytest.mark.parametrize(
    "given",
    [
        {"drift_directory": "srv/gpuhost"},
        {"drift_directory": "/srv/gpu host"},
        {"drift_directory": "/srv/%h"},
        {"drift_inventory": "/etc/passwd"},
        {"drift_inventory": "a/../../b.py"},
        {"drift_inventory": "--json"},
        {"drift_at": "04:00\nUser=root"},
        {"drift_metrics": "/x/$HOME.prom"},
    ],
)
def test_a_value_that_does_not_fit_into_a_unit_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(BadSettings):
        merge_layers([Layer("here", given)])


def _stub(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def _run(
    script: str, *arguments: str, stubs: Path, **more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(ROOT / script), *arguments],
        env={"PATH": f"{stubs}:{os.environ['PATH']}", **more},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_failed_check_is_notified_without_the_url_in_an_argument(
    tmp_path: Path,
) -> None:
    _stub(tmp_path, "apprise", f'echo "$*" >{tmp_path}/said; echo "$APPRISE_URLS" >{tmp_path}/to')
    script = "gpuhost/plans/drift_failed.sh"
    alone = _run(script, stubs=tmp_path, MONITOR_SERVICE_RESULT="timeout")
    assert alone.stdout.startswith("<3>the nightly drift check on ")
    assert alone.stdout.endswith(
        " failed or is incomplete (timeout): see its journal, journalctl -u gpuhost-drift.service\n"
    )
    assert " failed or is incomplete: see its" in _run(script, stubs=tmp_path).stdout
    assert not (tmp_path / "said").exists()
    told = _run(script, stubs=tmp_path, GPUHOST_NOTIFY=URL)
    assert (told.returncode, (tmp_path / "to").read_text()) == (0, f"{URL}\n")
    assert URL not in (tmp_path / "said").read_text() + told.stdout + told.stderr
    _stub(tmp_path, "apprise", f"echo cannot reach {URL}; exit 1")
    failed = _run(script, stubs=tmp_path, GPUHOST_NOTIFY=URL)
    assert failed.returncode == 1
    assert URL not in failed.stdout + failed.stderr


@needs("ssh-keygen")
def test_the_key_is_created_once(tmp_path: Path) -> None:
    stubs, home = tmp_path / "stubs", tmp_path / "home"
    stubs.mkdir()
    key = home / ".ssh" / "id_ed25519"
    _stub(stubs, "getent", "exit 2")
    _stub(stubs, "useradd", f'echo "$*" >>{tmp_path}/added')
    _stub(stubs, "install", 'for last; do :; done; mkdir -p "$last"')
    _stub(stubs, "runuser", 'shift 3; exec "$@"')
    arguments = ("gpuhost-drift", str(home), str(key))
    account = "gpuhost/remote/drift_account.sh"
    assert _run(account, *arguments, stubs=stubs).returncode == 0
    assert "--system" in (tmp_path / "added").read_text()
    public, private = Path(f"{key}.pub").read_text(), key.read_text()
    assert public.startswith("ssh-ed25519 ")
    assert " gpuhost-drift@" in public
    assert [oct(path.stat().st_mode & 0o777) for path in (key.parent, key)] == ["0o700", "0o600"]
    Path(f"{key}.pub").unlink()
    assert _run(account, *arguments, stubs=stubs).returncode == 0
    assert (key.read_text(), Path(f"{key}.pub").read_text().split()[1]) == (
        private,
        public.split()[1],
    )


def test_directories_of_reports_are_created_once(tmp_path: Path) -> None:
    stubs = tmp_path / "stubs"
    stubs.mkdir()
    _stub(
        stubs, "install", f'echo "root $*" >>{tmp_path}/done; for last; do :; done; mkdir "$last"'
    )
    _stub(stubs, "runuser", f'echo "account $*" >>{tmp_path}/done; shift 3; exec "$@"')
    directories = [str(tmp_path / "home" / "a" / "b"), str(tmp_path / "www")]
    script = "gpuhost/remote/drift_reports.sh"
    for _ in range(2):
        done = _run(script, "gpuhost-drift", str(tmp_path / "home"), *directories, stubs=stubs)
        assert done.returncode == 0, done.stderr
    who = [line.split()[0] for line in (tmp_path / "done").read_text().splitlines()]
    assert who == ["account", "root", "account"]
    assert all(Path(path).is_dir() for path in directories)
