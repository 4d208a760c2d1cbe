"""The toolkit's part of a reading, for any output of the host."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gpuhost.domain.toolkit.packages import PACKAGES
from gpuhost.plans.toolkit_packages import repository
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Probe, Probes
from gpuhost.snapshot.toolkit import KEY, RUNTIME, SOURCES, Toolkit
from tests.recorded import probes

NAMES = ("files", "packages", "units", "cdi", "mig_instances")
UNIT = "Id=nvidia-cdi-refresh.path\n"
TEXTS = st.text() | st.sampled_from(
    (
        f"{UNIT}Id=other.path\nUnitFileState=enabled\n",
        f"{UNIT}\n{UNIT}UnitFileState=enabled\n",
        "h\thi\n",
        "hi \tlibnvidia-container1\n",
        "hi \tlibnvidia-container1\t1\tamd64\textra\n",
        "/var/lib/gpuhost/toolkit.json:[]\n",
        '/var/lib/gpuhost/toolkit.json:{"driver": NaN}\n',
    )
)


@given(
    st.fixed_dictionaries(
        {name: st.builds(Probe, st.sampled_from((0, 1, 2, None)), TEXTS, TEXTS) for name in NAMES}
    )
)
def test_any_output_is_read_or_not_read(by_name: dict[str, Probe]) -> None:
    try:
        toolkit = Toolkit.read(Probes(by_name))
    except NotRead:
        return
    assert set(toolkit.packages) <= set(PACKAGES)
    assert toolkit.held <= set(PACKAGES)


def test_the_recorded_host() -> None:
    toolkit = Toolkit.read(probes("debian13-p40"))
    assert toolkit.packages == dict.fromkeys(PACKAGES, "1.20.0-1")
    assert toolkit.held == set(PACKAGES)
    assert toolkit.libc == "2.41-12+deb13u4"
    assert toolkit.refresh is not None
    assert (toolkit.refresh.enabled, toolkit.refresh.active) == (True, True)
    assert toolkit.proof is not None
    assert toolkit.proof.circumstances.image == "gpuhost/gpu-test:2.41-12-deb13u4-r1"


def test_the_reader_and_the_writer_use_the_same_paths() -> None:
    written = repository(Settings(), "amd64")
    assert (written.sources_path, written.key_path) == (SOURCES, KEY)
    assert RUNTIME.startswith("/usr/bin/")
