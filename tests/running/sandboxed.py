"""A `tracker up --sandbox` of a test's own, and what a person would do with it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

CATALOG = Path(__file__).parents[2] / "partners.yaml"


class Sandbox:
    """A `tracker up --sandbox` in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.port = _free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.environ = {
            **{n: v for n, v in os.environ.items() if not n.startswith("TRACKER_")},
            "TRACKER_DATA_DIR": str(folder / "data"),
            "TRACKER_CATALOG": str(folder / "partners.yaml"),
            "TRACKER_PORT": str(self.port),
            "TRACKER_CONSOLE_PORT": "0",
        }
        shutil.copy(CATALOG, folder)
        self.start()

    def start(self):
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tracker", "up", "--sandbox"],
                env=self.environ,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        said = ""
        while "stop " not in said:
            line = self.process.stdout.readline()
            assert line, (self.folder / "log").read_text()
            said += line
        return said

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.communicate(timeout=40)
        return self.process.returncode

    def command(self, *words):
        return subprocess.run(
            [sys.executable, "-m", "tracker", *words],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def click(self, **query):
        answer = httpx.get(f"{self.base_url}/c/bestdeals/acme-shoes", params=query)
        return parse_qs(urlsplit(answer.headers["location"]).query)["cid"][0]

    def report(self, click_id, order):
        token = (self.folder / "data/sandbox_token").read_text().strip()
        query = {
            "click_id": click_id,
            "transaction_id": order,
            "amount": "50",
            "token": token,
        }
        return httpx.get(f"{self.base_url}/postback/acme", params=query)

    def told(self):
        """What the partner's inbox page shows."""
        return httpx.get(f"{self.base_url}/sandbox/inbox/view").text


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
