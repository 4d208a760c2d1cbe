"""python -m bench            every part, and docs/performance.md
python -m bench PART …     some of them: {parts}
"""

from __future__ import annotations

import compileall
import sys
from collections.abc import Callable
from importlib import import_module

from bench import page
from bench.measure import Broken, console
from bench.result import Result
from tests.e2e.commands import ROOT
from tests.lab.process import LabError

PARTS = ("loopback", "collector", "fleet", "ansible", "bootstrap")


def main(asked: list[str]) -> int:
    unknown = set(asked) - set(PARTS)
    if unknown:
        print((__doc__ or "").format(parts=", ".join(PARTS)), file=sys.stderr)
        return 1
    # As after a first command: Python has compiled what it imports.
    compileall.compile_dir(ROOT / "gpuhost", quiet=1)
    failed = [name for name in asked or PARTS if not _run(name)]
    page.write(PARTS)
    console.print(f"written: {page.PAGE}")
    return 1 if failed else 0


def _run(name: str) -> bool:
    """One part; a part that cannot run here does not keep the others from running."""
    console.rule(name)
    try:
        found = _part(name)()
    except (Broken, LabError) as error:
        console.print(f"[bold red]{name} could not be measured:[/] {error}")
        return False
    found.save()
    page.show(found)
    return True


def _part(name: str) -> Callable[[], Result]:
    part: Callable[[], Result] = getattr(
        import_module(f"bench.{PART_MODULES.get(name, name)}"), name
    )
    return part


# bench/ansible/ is a directory of playbooks.
PART_MODULES = {"ansible": "playbook"}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
