"""
Runs commands, each in a process of its own that is forked from one which has
imported everything: a second of imports is spent once, and not once a command.
"""

import json
import multiprocessing
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tracker.cli import main

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        "tracker.cli.story",
        "tracker.flow.cap",
        "tracker.flow.catalog",
        "tracker.flow.conversion",
        "tracker.flow.quarantine",
        "tracker.supervisor",
        "rich.console",
    ]
)


@dataclass(frozen=True)
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def document(self):
        return json.loads(self.out)

    @property
    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]


def run_command(words, environ, stdin="") -> Said:
    """`tracker WORDS…`, its output into files, in this environment and no other."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("in", "out", "err")]
        files[0].write_text(stdin, "utf-8")
        process = _FORKS.Process(target=_run, args=(words, dict(environ), *files))
        process.start()
        process.join(60)
        code = process.exitcode
        process.close()
        return Said(code, *(file.read_text("utf-8") for file in files[1:]))


def _run(words, environ, given, out, err):
    os.environ.clear()
    os.environ.update(environ)
    for fd, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), fd)
    sys.stdin = given.open(encoding="utf-8")
    sys.argv = ["tracker", *words]
    main()
