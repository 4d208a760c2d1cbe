"""The toolkit's config.toml, in the ways that TOML allows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.domain.toolkit.config import ToolkitConfig, parse_config

ON = ToolkitConfig(no_cgroups=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, ToolkitConfig()),
        ("", ToolkitConfig()),
        ("[nvidia-container-cli]\nno-cgroups = true\n", ON),
        ("[ nvidia-container-cli ] # the hook\n  no-cgroups=true # for podman\n", ON),
        ('["nvidia-container-cli"]\n"no-cgroups" = true\n', ON),
        ("nvidia-container-cli.no-cgroups = true\n", ON),
        ("nvidia-container-cli = { load-kmods = true, no-cgroups = true }\n", ON),
        ("[nvidia-container-cli]\r\nno-cgroups = true\r\n", ON),
        ("\ufeff[nvidia-container-cli]\nno-cgroups = true\n", ON),
        ("[nvidia-container-cli]\n#no-cgroups = true\n", ToolkitConfig()),
        ("[nvidia-container-cli]\nno-cgroups = false\n", ToolkitConfig()),
        ("no-cgroups = true\n", ToolkitConfig()),
        ("[nvidia-container-runtime]\nno-cgroups = true\n", ToolkitConfig()),
        ("[nvidia-container-runtime]\nmode = 'cdi'\n", ToolkitConfig(mode="cdi")),
        ('[nvidia-container-runtime.modes.cdi]\nmode = "cdi"\n', ToolkitConfig()),
        ("disable-require = true\n", ToolkitConfig(disable_require=True)),
        ('swarm-resource = "A,B" # both\n', ToolkitConfig(swarm_resource="A,B")),
        (
            "accept-nvidia-visible-devices-envvar-when-unprivileged = false\n",
            ToolkitConfig(by_environment=False),
        ),
    ],
)
def test_the_values_that_decide(text: str | None, expected: ToolkitConfig) -> None:
    assert replace(parse_config(text), lines=()) == expected


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    assert parse_config(text).mode
