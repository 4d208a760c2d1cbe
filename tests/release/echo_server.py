"""An upstream that returns the request as JSON, with Cache-Control: no-store."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        request = {
            "method": self.command,
            "path": self.path,
            "body": self.rfile.read(length).decode("utf-8", "replace")[:100],
            "headers": {name.lower(): value for name, value in self.headers.items()},
        }
        body = json.dumps(request).encode()
        self.send_response(200)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_GET  # noqa: N815


ThreadingHTTPServer(("127.0.0.1", 3000), Echo).serve_forever()
