"""Serves the lab's repositories to its hosts. Runs in a container, on the standard library alone.

server.py FOLDER: FOLDER/www is served; FOLDER/passed-on.json maps path prefixes to the URLs that
answer for them, as a mirror does.
"""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import ClassVar


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of the lab, and of this machine's own package archives."""

    protocol_version = "HTTP/1.1"
    passed_on: ClassVar[dict[str, str]] = {}

    def do_GET(self) -> None:
        for prefix, target in self.passed_on.items():
            if self.path.startswith(prefix):
                return self.pass_on(target + self.path[len(prefix) :])
        return super().do_GET()

    def pass_on(self, url: str) -> None:
        """Answer with what another server has."""
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                self.send_response(answer.status)
                for name in ("Content-Length", "Content-Type", "Last-Modified"):
                    if answer.headers[name]:
                        self.send_header(name, answer.headers[name])
                self.close_connection |= answer.headers["Content-Length"] is None
                self.end_headers()
                shutil.copyfileobj(answer, self.wfile)
        except urllib.error.HTTPError as error:
            self.send_error(error.code)
        except (urllib.error.URLError, OSError) as error:
            self.log_error("%s: %s", url, error)
            self.close_connection = True


def main(folder: Path) -> None:
    Handler.passed_on = json.loads((folder / "passed-on.json").read_text())
    handler = functools.partial(Handler, directory=str(folder / "www"))
    http.server.ThreadingHTTPServer(("", 80), handler).serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
