"""The value that wins at boot, read by the collector's own command from files as they may be."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.snapshot import NotRead, Probe, Probes
from gpuhost.snapshot.sysctl import REQUEST, SWAPPINESS, Sysctl

CASES = yaml.safe_load((Path(__file__).parent / "sysctl.yaml").read_text())
WORDS = {"KEY": SWAPPINESS, "SLASHED": "vm/swappiness", "GLOB": "vm.swap*"}
(PROBE,) = REQUEST.probes


def with_words(text: str, words: dict[str, str]) -> str:
    return re.sub("|".join(words), lambda word: words[word[0]], text)


def read(root: Path, case: dict[str, Any]) -> Sysctl:
    for path, text in case["files"].items():
        target = root / path.removeprefix("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(with_words(text, WORDS))
    for path, target in case.get("links", {}).items():
        link = root / path.removeprefix("/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
    command = re.sub(r" (/\S+sysctl\.d)", rf" {root}\1", PROBE.command)
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, env={"LC_ALL": "C"}, timeout=30
    )
    probe = Probe(done.returncode, done.stdout.replace(str(root), ""), done.stderr)
    return Sysctl.read(Probes({"sysctl_files": probe, "files": Probe(0)}))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_line_that_wins_at_boot(case: dict[str, Any], tmp_path: Path) -> None:
    line = read(tmp_path, case).at_boot(SWAPPINESS)
    assert (line.value if line else None) == case["value"]
    assert str(line) == str(case.get("line"))


@pytest.mark.parametrize(
    ("probe", "reason"),
    [
        (Probe(None), "timed out"),
        (Probe(1, "", "grep: /etc/sysctl.d/a.conf: Permission denied\n"), "Permission denied"),
    ],
)
def test_what_cannot_be_read_is_not_absent(probe: Probe, reason: str) -> None:
    with pytest.raises(NotRead, match=reason):
        Sysctl.read(Probes({"sysctl_files": probe, "files": Probe(0)}))


@given(st.text(max_size=200))
def test_any_output(out: str) -> None:
    found = Sysctl.read(Probes({"sysctl_files": Probe(0, out), "files": Probe(0)}))
    line = found.at_boot(SWAPPINESS)
    assert line is None or line.path in found.files
