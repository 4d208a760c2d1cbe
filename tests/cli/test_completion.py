"""Shell completion of verbs, options, apps and files."""

from __future__ import annotations

import shlex
import shutil

import pytest

from tests.cli.conftest import GPUHOST, Workplace

pytestmark = pytest.mark.slow

BASH = """\
PATH={directory}:$PATH
eval "$(_GPUHOST_COMPLETE=bash_source gpuhost)"
COMP_WORDS=({words}); COMP_CWORD={position}
_gpuhost_completion gpuhost
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def place(workplace: Workplace) -> Workplace:
    (workplace.path / "apps").mkdir()
    (workplace.path / "apps" / "tts.yaml").touch()
    (workplace.path / "inventory.py").touch()
    return workplace


def completed(place: Workplace, line: str) -> list[str]:
    """The completions that bash offers for the last word of a line."""
    assert shutil.which("bash")
    words = [*shlex.split(line), *([""] if line.endswith(" ") else [])]
    script = BASH.format(directory=GPUHOST.parent, words=shlex.join(words), position=len(words) - 1)
    return place.run("bash", "-c", script).out.split()


def test_verbs(place: Workplace) -> None:
    assert completed(place, "gpuhost re") == ["releases", "remove", "restore"]
    assert "provision" in completed(place, "gpuhost ")


def test_options(place: Workplace) -> None:
    assert completed(place, "gpuhost provision --a") == ["--adopt"]
    assert "--json" in completed(place, "gpuhost check inventory.py --")


def test_apps(place: Workplace) -> None:
    assert {"tts", "z-pulse"} <= set(completed(place, "gpuhost deploy inventory.py "))
    assert completed(place, "gpuhost rollback inventory.py t") == ["tts"]
    assert completed(place, "gpuhost logs inventory.py --app tt") == ["tts"]


def test_removable_nouns_and_apps(place: Workplace) -> None:
    assert completed(place, "gpuhost remove inventory.py sw") == ["swap"]
    assert completed(place, "gpuhost remove inventory.py swap fire") == ["firewall"]
    assert "app" not in completed(place, "gpuhost remove inventory.py ")
    assert completed(place, "gpuhost remove inventory.py --app t") == ["tts"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_an_inventory_is_a_file(place: Workplace, shell: str) -> None:
    words = "gpuhost check inv"
    given = {
        "_GPUHOST_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": words if shell != "fish" else "gpuhost check",
        "COMP_CWORD": "2" if shell != "fish" else "inv",
    }
    run = place.run("env", *(f"{k}={v}" for k, v in given.items()), str(GPUHOST))
    assert run.out.replace("\n", ",").startswith("file")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_setup_line_for_each_shell(place: Workplace, shell: str) -> None:
    line = f"_GPUHOST_COMPLETE={shell}_source gpuhost"
    assert line in place.gpuhost("--help").out
    script = place.run("env", f"_GPUHOST_COMPLETE={shell}_source", str(GPUHOST))
    assert script.exit == 0
    assert f"_GPUHOST_COMPLETE={shell}_complete" in script.out
