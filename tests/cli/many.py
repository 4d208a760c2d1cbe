"""Several `gpuhost` commands in one process, because each start costs half a second.

Reads a JSON list of argument lists on stdin, prints a JSON list of [exit status, stdout, stderr].
"""

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout

from gpuhost.cli import main


def run(arguments: list[str]) -> tuple[int, str, str]:
    sys.argv = ["gpuhost", *arguments]
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            status = ended.code
    assert isinstance(status, int)
    return status, out.getvalue(), err.getvalue()


if __name__ == "__main__":
    json.dump([run(arguments) for arguments in json.load(sys.stdin)], sys.stdout)
