"""python -m gpuhost.cli: the same as `gpuhost`."""

from __future__ import annotations

from gpuhost.cli import main

main()
