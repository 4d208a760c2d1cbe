"""python -m gpuhost.reference            writes the pages, from the repository's root
python -m gpuhost.reference --check    writes nothing, and fails if a page is stale
"""

from __future__ import annotations

import sys
from pathlib import Path

from gpuhost.reference import pages


def main(arguments: list[str], root: Path) -> int:
    """The exit status: 0, or 1 with --check if a page is stale."""
    if not (root / "gpuhost" / "settings" / "settings.py").is_file():
        print("run this from the repository's root", file=sys.stderr)
        return 1
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 1
    stale = pages.stale(root)
    if not arguments:
        pages.write(root)
    for path in stale:
        print(f"{path}: {'stale: run `make docs`' if arguments else 'written'}")
    return 1 if stale and arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path.cwd()))
