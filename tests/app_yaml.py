"""App files that tests change: read as plain values, and written again with Compose's own tags."""

from __future__ import annotations

from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gpuhost.appfile.document import OVERRIDE, RESET, Tagged


class _Loader(yaml.SafeLoader):
    """Keeps the tags."""


class _Dumper(yaml.SafeDumper):
    """Writes them, and each value where it is used."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def read(text: str | bytes) -> Any:
    """The values of a document; no object is there twice, as aliases are."""
    return yaml.load(write(yaml.load(text, _Loader)), _Loader)


def write(value: Any) -> str:
    return yaml.dump(value, Dumper=_Dumper, allow_unicode=True)


def _tagged(loader: _Loader, node: Node) -> Tagged:
    if isinstance(node, SequenceNode):
        return Tagged(node.tag, loader.construct_sequence(node, deep=True))
    if isinstance(node, MappingNode):
        return Tagged(node.tag, loader.construct_mapping(node, deep=True))
    assert isinstance(node, ScalarNode)
    return Tagged(node.tag, node.value)


def _node(dumper: _Dumper, tagged: Tagged) -> Node:
    node = dumper.represent_data(tagged.value)
    node.tag = tagged.tag
    return node


for tag in (RESET, OVERRIDE):
    _Loader.add_constructor(tag, _tagged)
_Dumper.add_representer(Tagged, _node)
