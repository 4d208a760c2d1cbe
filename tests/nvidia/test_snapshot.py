"""For any output of a host, the driver is read, or raises NotRead."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpuhost.checks.registry import run_checks
from gpuhost.domain.nvidia.smi import QUERY_FIELDS, QUERY_FIELDS_BEFORE_R510
from gpuhost.settings import Settings
from gpuhost.snapshot import Probe, Probes, Snapshot
from gpuhost.snapshot.collector import script
from gpuhost.snapshot.nvidia_record import NVIDIA_RECORD
from gpuhost.snapshot.request import Request
from tests.recorded import probes

NAMES = (
    "pci",
    "nvidia_smi",
    "nvidia_query",
    "nvidia_query_old",
    "nvidia_packages",
    "nvidia_version",
    "loaded_modules",
    "kernels",
    "kernel_modules",
    "boot_entry",
    "nouveau_off",
    "secure_boot",
    "key_mok.pub",
    "kernel_log",
    "units",
    "nvidia_details",
    "nvidia_links",
    "nvidia_mig",
    "nvidia_nvlink",
    "nvidia_stuck",
)
WHOLE = probes("nvidia-installed")
# Pieces of real outputs, so that garbage resembles them.
PIECES = st.sampled_from(
    [
        *(line for name in NAMES if name in WHOLE for line in WHOLE.get(name).out.splitlines()),
        "/sys/bus/pci/devices//uevent:PCI_ID=10DE:",
        "/sys/bus/pci/devices/x/uevent:PCI_CLASS=\u0663\u0663",
        "hi \tnvidia-smi\t:~-\t",
        "hi \tlibcuda1\t99999.99999.99999\tamd64",
        "vmlinuz-",
        "vmlinuz-" + "9" * 5000,
        "/lib/modules//modules.dep::",
        "GRUB_DEFAULT=",
        "next_entry=\u4e2d\u6587",
        "  6 0 0 0 1",
        "NVIDIA-SMI Driver Version: 9999.9999.9999 CUDA Version: 99.99",
        "未找到命令",
        "\x00\ufffd\r",
        "1\t2026-11-21T20:01:59,1+00:00 NVRM: Xid (PCI:0000:84:00): 154, changed from 0x0 ()",
        "7\t- NVRM: RmInitAdapter failed!",
        "install nvidia /bin/false",
    ]
)
OUTPUTS = st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=6).map("\n".join))
PROBES = st.builds(
    Probe,
    st.sampled_from([None, 0, 1, 2, 9, 14, 18, 127]),
    OUTPUTS,
    st.one_of(st.just(""), OUTPUTS),
)
DECLARED = st.sampled_from(
    [
        Settings(),
        Settings(gpu="required", gpu_count=3, cuda="12.6"),
        Settings(nvidia_driver="install", nvidia_source="nvidia", cuda="13.0", nvidia_hold=False),
        Settings(nvidia_driver="install", nvidia_branch="580", nvidia_persistence=False),
    ]
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    changed=st.dictionaries(st.sampled_from(NAMES), PROBES, max_size=6),
    record=st.one_of(
        st.text(max_size=60), st.sampled_from(["[]", "null", '{"held": 1}', "[" * 9999])
    ),
    settings=DECLARED,
)
def test_no_output_raises_anything_but_not_read(
    changed: dict[str, Probe], record: str, settings: Settings
) -> None:
    whole = probes("nvidia-installed", {NVIDIA_RECORD: record})
    findings = run_checks(Snapshot(Probes({**whole.by_name, **changed})), settings, ["nvidia"])
    assert len(findings) == 21
    assert all(finding.actual for finding in findings)


@pytest.mark.parametrize("missing", NAMES)
def test_a_probe_that_did_not_run_is_unknown_or_irrelevant(missing: str) -> None:
    whole = probes("nvidia-installed", changed={missing: None})
    findings = run_checks(Snapshot(whole), Settings(), ["nvidia"])
    assert len(findings) == 21
    assert not [
        f.actual for f in findings if f.status.value == "unknown" and "did not" not in f.actual
    ]


@pytest.mark.parametrize("fields", [QUERY_FIELDS, QUERY_FIELDS_BEFORE_R510])
def test_the_collector_asks_what_the_parser_expects(fields: tuple[str, ...]) -> None:
    assert f"--query-gpu={','.join(fields)}\n" in script(Request())


@pytest.mark.parametrize(
    ("kernels", "grub", "expected"),
    [
        ("vmlinuz-6.1.0-9-amd64 vmlinuz-6.1.0-28-amd64", "", "6.1.0-28-amd64"),
        ("vmlinuz-6.8.0-45-generic vmlinuz-6.11.0-8-generic", "", "6.11.0-8-generic"),
        ("vmlinuz-6.1.0-9-amd64 vmlinuz-6.1.0-28-amd64", "GRUB_DEFAULT=0", "6.1.0-28-amd64"),
        (
            "vmlinuz-6.1.0-9-amd64 vmlinuz-6.1.0-28-amd64",
            "GRUB_DEFAULT='1>Debian, with Linux 6.1.0-9-amd64'",
            "6.1.0-9-amd64",
        ),
        ("", "", None),
    ],
)
def test_the_kernel_of_the_next_boot(kernels: str, grub: str, expected: str | None) -> None:
    files = "\n".join(kernels.split())
    changed = {"kernels": {"out": files}, "boot_entry": {"out": f"/etc/default/grub:{grub}\n"}}
    snapshot = Snapshot(probes("nvidia-installed", changed=changed))
    assert snapshot.kernels.next == expected
