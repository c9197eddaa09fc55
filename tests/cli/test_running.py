"""The processes of a tracker, and what a command says when there is none."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, suppress
from http.client import HTTPConnection

import pytest

from tracker import __version__


@pytest.fixture
def start(environ):
    """Starts a process of the tracker; what still runs at the end is ended."""
    started = []

    def start(name, **settings):
        process = subprocess.Popen(
            [sys.executable, "-m", "tracker", name],
            env={**environ, **{key: str(value) for key, value in settings.items()}},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(port, path):
    """The status of an answer, as soon as there is one."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(OSError):
            return ask(port, path)
        time.sleep(0.05)
    raise AssertionError(f"nothing answers on {port}")


def ask(port, path):
    with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("GET", path)
        return connection.getresponse().status


async def test_a_server_serves_and_ends_when_asked(start, runtime):
    port = free_port()
    server = start("serve", TRACKER_PORT=port)

    status = get(port, "/healthz")
    server.send_signal(signal.SIGTERM)
    _, said = server.communicate(timeout=20)

    assert (status, server.returncode) == (200, 0)
    assert "Traceback" not in said


async def test_a_request_in_flight_is_finished(start, runtime):
    """SIGTERM comes when half of a postback has been sent."""
    port = free_port()
    server = start("serve", TRACKER_PORT=port)
    get(port, "/healthz")
    with socket.create_connection(("127.0.0.1", port)) as connection:
        head = "POST /postback HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        form = "Content-Type: application/x-www-form-urlencoded\r\n"
        connection.sendall(f"{head}{form}Content-Length: 10\r\n\r\ngoal=".encode())
        get(port, "/healthz")  # what was sent before has been read

        server.send_signal(signal.SIGTERM)
        wait_until_closed(port)
        connection.sendall(b"lead1")
        answer = connection.makefile("rb").read()

    assert b"missing_click_id" in answer
    assert server.wait(20) == 0


async def test_an_internal_port_shows_what_the_public_one_does_not(start, runtime):
    port, internal = free_port(), free_port()
    server = start("serve", TRACKER_PORT=port, TRACKER_INTERNAL_PORT=internal)

    assert get(internal, "/readyz") == get(internal, "/metrics") == 200
    assert get(port, "/metrics") == 404
    server.send_signal(signal.SIGTERM)
    assert server.wait(20) == 0


async def test_a_worker_delivers_and_ends_when_asked(start, visit, report, inbox):
    await report(await visit(sub1="banner"))
    worker = start("worker")

    said = await asyncio.to_thread(read_until, worker.stderr, "delivery.attempted")
    worker.send_signal(signal.SIGINT)
    await asyncio.to_thread(worker.communicate, timeout=30)

    assert '"outcome":"delivered"' in said
    assert worker.returncode == 0


def test_a_child_ends_with_its_parent(environ, runtime):
    reader, writer = os.pipe()
    worker = subprocess.Popen(
        [sys.executable, "-m", "tracker", "worker"],
        env={**environ, "TRACKER_PARENT_FD": str(reader)},
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=(reader,),
    )
    os.close(reader)
    read_until(worker.stderr, "catalog.followed")

    os.close(writer)
    worker.communicate(timeout=20)

    assert worker.returncode == 0


def test_migrate_says_what_it_did(tracker, environ, empty_database_url):
    environ["TRACKER_DATABASE_URL"] = empty_database_url

    first, second = tracker("migrate"), tracker("migrate", "--json")

    assert first.out.startswith("0001_")
    assert second.document == {"applied": []}


@pytest.mark.parametrize(
    "words",
    [
        ("conversions", "list"),
        ("deliveries", "retry", "dl_1"),
        ("quarantine", "show", "pb_2n0e2kc06x5y4jcx3qfzfmyf"),
        ("migrate",),
    ],
)
def test_a_store_that_is_away_has_its_own_exit_code(tracker, environ, words):
    environ["TRACKER_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/none"

    said = tracker(*words)

    assert (said.code, said.out) == (3, "")
    assert re.match(r"tracker: Postgres d(oes|id) not answer", said.err)
    assert "Traceback" not in said.err


@pytest.mark.parametrize("words", [("conversions", "list"), ("trace", "0" * 32)])
def test_where_nothing_runs_it_says_so(tracker, environ, words):
    del environ["TRACKER_DATABASE_URL"]

    said = tracker(*words)

    assert said.code == 3
    assert "start `tracker up`, or set TRACKER_DATABASE_URL" in said.err


def test_all_faults_of_the_settings_are_told(tracker, environ):
    environ.update(TRACKER_PORT="none", TRACKER_PROT="1")

    said = tracker("serve")

    assert said.code == 1
    assert {"TRACKER_PORT:", "TRACKER_PROT:"} <= set(said.err.split())


def test_help_comes_at_once_and_names_the_exit_codes(environ):
    command = [sys.executable, "-X", "importtime", "-m", "tracker", "--help"]

    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, check=True
    )

    assert "Exit codes" in done.stdout
    slow = ("pydantic", "psycopg", "aiohttp", "starlette", "redis", "uvicorn")
    assert [name for name in slow if f"| {name}" in done.stderr] == []


def test_it_knows_its_version(tracker):
    assert tracker("--version").out == f"{__version__}\n"


def read_until(stream, word):
    for line in stream:
        if word in line:
            return line
    raise AssertionError(f"{word} was never said")


def wait_until_closed(port):
    with suppress(ConnectionError):
        while True:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            time.sleep(0.02)
