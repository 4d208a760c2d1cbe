"""Operations and facts, from their docstrings: one line, `+ argument: meaning`, an example."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from pyinfra.api import FactBase

HEAD = """# Operations and facts

Use each one in your own deploys or on the command line:

```sh
pyinfra HOST gpuhost.operations.swap.file size_gb=8
pyinfra HOST fact gpuhost.facts.nvidia.Gpus
```

Generated from the docstrings by `make docs`.
"""


def operations_page() -> str:
    """docs/operations.md."""
    operations = [_section(*operation) for operation in _operations()]
    facts = [_section(*fact) for fact in _facts()]
    return "\n".join([HEAD, "## Operations\n", *operations, "## Facts\n", *facts]).rstrip() + "\n"


def _operations() -> Iterator[tuple[str, str, Any, str]]:
    for module in _modules("gpuhost.operations"):
        for name, value in vars(module).items():
            # Functions that pyinfra made operations, in the module that defines them.
            if hasattr(value, "_inner") and value.__module__ == module.__name__:
                yield module.__name__, name, value, str(inspect.signature(value))


def _facts() -> Iterator[tuple[str, str, Any, str]]:
    for module in _modules("gpuhost.facts"):
        for name, value in vars(module).items():
            is_fact = inspect.isclass(value) and issubclass(value, FactBase)
            if is_fact and value.__module__ == module.__name__:
                yield module.__name__, name, value, ""


def _modules(package: str) -> list[ModuleType]:
    paths = import_module(package).__path__
    return [import_module(f"{package}.{module.name}") for module in iter_modules(paths)]


def _section(module: str, name: str, documented: Any, signature: str) -> str:
    short = module.removeprefix("gpuhost.").partition(".")[2]
    call = f"\n```python\n{name}{_folded(signature)}\n```\n" if signature else ""
    return f"### {short}.{name}\n{call}\n{_markdown(inspect.getdoc(documented) or '')}\n"


def _folded(signature: str) -> str:
    """`(a: 'int' = 1, b: 'str' = 'x') -> 'Commands'`, one argument a line, without quotes."""
    arguments = re.sub(r" -> .*$", "", signature)[1:-1]
    plain = re.sub(r"""(\w+): (["'])(.*?)\2""", r"\1: \3", arguments)
    one_each = re.sub(r", (?=\w+: )", ",\n    ", plain)
    return f"(\n    {one_each},\n)" if "\n" in one_each else f"({one_each})"


def _markdown(docstring: str) -> str:
    """pyinfra's style as Markdown."""
    text = re.sub(r"^\+ (\w[\w, ]*):", r"- `\1`:", docstring, flags=re.MULTILINE)
    text = re.sub(r"``(.+?)``", r"`\1`", text)
    head, example, code = text.partition(".. code:: python\n\n")
    if not example:
        return text
    block, blank, rest = code.partition("\n\nor ")
    return f"{head}```python\n{inspect.cleandoc(block)}\n```" + (f"{blank}{rest}" if rest else "")
