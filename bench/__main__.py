"""python -m bench            all parts, and docs/performance.md
python -m bench PART …     only these: {parts}
"""

from __future__ import annotations

import compileall
import sys
from collections.abc import Callable
from importlib import import_module

from bench import lab, page
from bench.measure import Broken, console
from bench.result import Result
from tests.e2e.commands import ROOT
from tests.lab.process import LabError

PARTS = ("startup", "loopback", "collector", "fleet", "ansible", "bootstrap")


def main(parts: list[str]) -> int:
    unknown = set(parts) - set(PARTS)
    if unknown:
        print((__doc__ or "").format(parts=", ".join(PARTS)), file=sys.stderr)
        return 1
    # As after a first command: Python has compiled its imports.
    compileall.compile_dir(ROOT / "gpuhost", quiet=1)
    try:
        failed = [name for name in parts or PARTS if not _run(name)]
    finally:
        # Also if a part failed, or Ctrl-C: leftover hosts would be in the way of tests.
        lab.take_down()
    page.write(PARTS)
    console.print(f"written: {page.PAGE}")
    return 1 if failed else 0


def _run(name: str) -> bool:
    """Run one part; if it cannot run here, the others still run."""
    console.rule(name)
    try:
        result = _part(name)()
    except (Broken, LabError) as error:
        console.print(f"[bold red]{name} could not be measured:[/] {error}")
        return False
    result.save()
    page.show(result)
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
