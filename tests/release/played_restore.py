"""A played host (played_host.py) that also lets the result of an earlier restore be removed."""

from __future__ import annotations

import json
import os
import runpy
import shlex
import sys
from pathlib import Path

directory, command = Path(sys.argv[1]), os.environ["SSH_ORIGINAL_COMMAND"]
words = shlex.split(shlex.split(command)[2])
if "rm" in words:
    (directory / "removed").write_text(json.dumps(words[words.index("--") + 1 :]))
    sys.exit()
played = runpy.run_path(str(Path(__file__).with_name("played_host.py")))
sys.exit(played["main"](directory, command))
