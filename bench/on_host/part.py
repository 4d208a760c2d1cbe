"""part.py FILE COMMAND…: run a command, and write its CPU time in µs to FILE."""

import os
import sys

file, *command = sys.argv[1:]
try:
    # No fork: the copy of this interpreter would count as the command's time.
    pid = os.posix_spawnp(command[0], command, os.environ)
except OSError:
    sys.exit(127)
_, status, usage = os.wait4(pid, 0)
with open(file, "w") as out:  # noqa: PTH123 - pathlib takes longer to load than the command
    out.write(str(int((usage.ru_utime + usage.ru_stime) * 1e6)))
sys.exit(os.waitstatus_to_exitcode(status) % 256)
