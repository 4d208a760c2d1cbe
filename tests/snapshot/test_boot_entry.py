"""The kernel that boots next: GRUB's menu, its default and grubenv as GRUB reads them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from gpuhost.domain.grub import parse
from gpuhost.snapshot.boot_entry import GRUB_CFG, read_boot_entry
from gpuhost.snapshot.probes import Probe, Probes
from tests.nvidia.fixtures import FIXTURES

DATA: dict[str, Any] = yaml.safe_load((FIXTURES.parent / "grub.yaml").read_text("utf-8"))
INSTALLED = tuple(DATA["installed"].split())


def _entry(case: dict[str, Any]) -> tuple[str | None, str]:
    menu = case.get("before", "") + DATA["menus"][case.get("menu", "usual")] + case.get("after", "")
    lines = [f'set default="{case["default"]}"', *menu.splitlines()] if "default" in case else []
    output = "".join(f"{GRUB_CFG}:{line}\n" for line in lines)
    output += "".join(f"/boot/grub/grubenv:{line}\n" for line in case.get("grubenv", ()))
    output += "".join(f"/etc/default/grub:{line}\n" for line in case.get("settings", ()))
    output += "".join(f"/boot/efi/loader/loader.conf:{line}\n" for line in case.get("loader", ()))
    installed = tuple(case["installed"].split()) if "installed" in case else INSTALLED
    entry = read_boot_entry(Probes({"boot_entry": Probe(2, output)}), installed)
    return entry.release, entry.unknown


@pytest.mark.parametrize("case", DATA["cases"], ids=lambda case: case["name"])
def test_next_kernel(case: dict[str, Any]) -> None:
    release, unknown = _entry(case)
    assert release == case.get("boots")
    assert (unknown == "") == ("unknown" not in case)
    assert case.get("unknown", "") in unknown


@pytest.mark.parametrize(
    "text", ["", "}", "menuentry", "submenu 'a", "fi\n}\n", "if x\nmenuentry "]
)
def test_any_text_is_read(text: str) -> None:
    menu = parse(text)
    assert menu is None or menu.boots() is None or menu.boots()
