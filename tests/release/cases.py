"""Apps, hosts, and what is rendered for them: for golden tests, and for tests with real tools.

    python -m tests.release.cases

writes the golden files; review the diff before you commit it.
"""

from __future__ import annotations

from pathlib import Path

from gpuhost.appfile.app import App
from gpuhost.appfile.loading import PACKAGED, load
from gpuhost.release.planning import plan_release
from gpuhost.release.site import render_site
from gpuhost.release.variant import ChosenVariant, choose_variant
from gpuhost.settings.merge import Layer, merge_layers
from gpuhost.snapshot import Snapshot
from tests.apps.stand_ins import load_packaged
from tests.recorded import snapshot_of

HERE = Path(__file__).parent
APPS = HERE / "apps"
GOLDEN = HERE / "golden"
CPU = "debian13"
P40 = "nvidia-p40"
DECLARED = merge_layers(
    [Layer("the test", {"build_args": {"PIP_INDEX_URL": "https://pip.example"}})]
)
SITES = ("behind-nginx", "own_nginx", "whole")
# Every app of this repository: its plan, and its hash of inputs, must not change.
PLANNED = sorted([*APPS.glob("*.yaml"), *PACKAGED.glob("*.yaml")])


def app(name: str) -> App:
    return load(APPS / f"{name}.yaml")


def host(name: str) -> Snapshot:
    return snapshot_of({"host": name})


def chosen(of: App, on: str) -> ChosenVariant:
    choice = choose_variant(of, host(on), DECLARED)
    assert isinstance(choice, ChosenVariant), choice
    return choice


def golden_files() -> dict[str, str]:
    """Every golden file, rendered by the current code."""
    made = {}
    for name in SITES:
        made[f"{name}.nginx.conf"] = render_site(app(name), ipv6=name == "whole") or ""
    for path in PLANNED:
        one = load(path) if path.parent == APPS else load_packaged(path.stem)
        for on in (CPU, P40):
            choice = choose_variant(one, host(on), DECLARED)
            if isinstance(choice, ChosenVariant):
                made[f"{one.name}.{on}.plan.json"] = _plan(one, choice, on)
    return made


def _plan(one: App, choice: ChosenVariant, on: str) -> str:
    return plan_release(
        one,
        choice,
        DECLARED,
        host(on),
        revision="f" * 40,
        by="ops@laptop",
        release_id="20260101-000000-aaaaaaaa",
    ).text()


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for old in GOLDEN.iterdir():
        old.unlink()
    for file, text in golden_files().items():
        (GOLDEN / file).write_text(text, encoding="utf-8")
