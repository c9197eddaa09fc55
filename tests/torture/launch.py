"""
How processes are started: each by a new interpreter, or all by one that has imported.

A new one takes a second of a core to import what it needs. In full nothing is spared;
in brief there is no time for it, and children are forked from a process in which
nothing has run, but everything is imported.
"""

import os
import runpy
import subprocess
import sys
import threading
import time
from multiprocessing import get_context
from pathlib import Path

IMPORTED = [
    "aiohttp.web",
    "tracker.catalog.apart",
    "tracker.cli.running",
    "tracker.cli.server",
    "tracker.worker",
    "uvloop",
]

_forking = get_context("forkserver")
_forking.set_forkserver_preload(IMPORTED)


class Spawned:
    """`python ARGUMENTS`, in an interpreter of its own."""

    def __init__(self, arguments, environ, log):
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                env={**os.environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.pid = self._process.pid

    def is_alive(self):
        return self._process.poll() is None

    def signal(self, number):
        self._process.send_signal(number)

    def await_end(self, seconds=None):
        """Its exit code; None if it has not ended by then."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


class Forked:
    """The same, as a fork."""

    def __init__(self, arguments, environ, log):
        self._process = _forking.Process(
            target=_become, args=(arguments, {**os.environ, **environ}, str(log))
        )
        self._process.start()
        self.pid = self._process.pid

    def is_alive(self):
        return self._process.is_alive()

    def signal(self, number):
        os.kill(self.pid, number)

    def await_end(self, seconds=None):
        self._process.join(seconds)
        return self._process.exitcode


def tie_to_parent():
    """Ends this process soon after the one that started it, however that ends."""
    parent = os.getppid()

    def watch():
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _become(arguments, environ, log):
    """What `python ARGUMENTS` would be."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in (1, 2):
        os.dup2(output, number)
    os.environ.clear()
    os.environ.update(environ)
    tie_to_parent()
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        sys.path.insert(0, str(Path(arguments[0]).parent))
        runpy.run_path(arguments[0], run_name="__main__")
