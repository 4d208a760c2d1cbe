"""A fake host (fake_host.py) that also accepts the removal of an earlier restore's result."""

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
fake_host = runpy.run_path(str(Path(__file__).with_name("fake_host.py")))
sys.exit(fake_host["main"](directory, command))
