"""Everything that the documents name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gpuhost.settings import fields, nouns
from gpuhost.settings.merge import Layer, merge_layers

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))
)
READMES = ("README.md", "README.zh-CN.md")
# Names that look like settings.
OTHERS = {
    "gpu_host",
    "drift_timer",
    "docker_info",
    "apt_alone",
    "swap_file",
    "swap_partner",
    "swap_sizegb",
}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_have_a_target(document: str) -> None:
    text = (ROOT / document).read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    missing = [link for link in links if not (ROOT / document).parent.joinpath(link).exists()]
    assert missing == []


@pytest.mark.parametrize("document", READMES)
def test_named_settings_exist(document: str) -> None:
    text = (ROOT / document).read_text()
    named = set(re.findall(rf"\b(?:{'|'.join(nouns())})_[a-z_]+\b(?!\*)", text))
    assert len(named) > 10
    assert sorted(named - set(fields()) - OTHERS) == []


def test_both_readmes_have_the_same_parts() -> None:
    """The Chinese one has an additional part about mirrors; commands and tables are the same."""
    english, chinese = ((ROOT / name).read_text() for name in READMES)
    assert chinese.count("\n## ") == english.count("\n## ") + 1
    blocks = [re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL) for text in (english, chinese)]
    shell = [
        [code for language, code in blocks_of_page if language == "sh"] for blocks_of_page in blocks
    ]
    assert shell[0] == shell[1] != []


@pytest.mark.parametrize("group", ["all", "china", "cpu"])
def test_shipped_group_data_is_allowed(group: str) -> None:
    values: dict[str, object] = {}
    exec((ROOT / "group_data" / f"{group}.py").read_text(), {}, values)
    own = {key: value for key, value in values.items() if not key.startswith("__")}
    assert own.keys() <= fields().keys()
    assert merge_layers([Layer(group, own)]).model_dump(include=set(own))
