"""
`tracker up` with stand-ins for web and worker, which need nothing but the standard
library: `stand_in.py up | serve | worker`.
"""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from tracker.settings import load_settings
from tracker.supervisor import Program, up, watch_parent


class Handler(BaseHTTPRequestHandler):
    """Ready at once, and frank about its environment."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(dict(os.environ)).encode())

    def log_message(self, *_):
        """Keep quiet."""


def run(name):
    if name in os.environ.get("BROKEN", ""):
        sys.exit("broken")
    if name in os.environ.get("DEAF", ""):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    settings = load_settings(os.environ)
    watch_parent(settings.parent_fd)
    if name == "serve":
        HTTPServer((settings.host, settings.port), Handler).serve_forever()
    while True:
        signal.pause()


def main(name):
    if name != "up":
        run(name)
    programs = [
        Program(each, (sys.executable, __file__, each)) for each in ("serve", "worker")
    ]
    up(load_settings(os.environ, needs=()), sandbox=True, programs=programs)


if __name__ == "__main__":
    main(sys.argv[1])
