"""The whole of it, as `make run` runs it: real processes, real stores, real HTTP."""

import os
import re
import signal
import socket
import statistics
import subprocess
import time
from contextlib import suppress


def test_the_main_job_from_click_to_partner(sandbox):
    click_id = sandbox.click(sub1="banner-7")
    answer = sandbox.report(click_id, "order-1")

    assert (answer.status_code, answer.json()["status"]) == (200, "accepted")
    _await(lambda: "banner-7" in sandbox.told())
    _await(lambda: "delivered" in sandbox.command("trace", click_id).stdout)
    story = sandbox.command("trace", click_id).stdout
    for fact in ("banner-7", "accepted", "order-1"):
        assert fact in story


def test_a_delivery_leaves_within_200_ms_of_its_conversion(sandbox):
    """Measured by the tracker's own clock, conversion against first attempt."""
    for number in range(10):
        order = f"quick-{number}"
        sandbox.report(sandbox.click(sub1=order), order)
        _await(lambda order=order: order in sandbox.told())

    listed = sandbox.command("conversions", "list", "--json").stdout
    assert listed.count("quick-") == 10
    delays = sorted(_delays(sandbox))
    assert statistics.median(delays) < 0.2, delays


def test_a_megabyte_in_the_url_is_answered_by_the_table(sandbox):
    """Not by an error of the HTTP parser, which would leave no trace."""
    junk = b"x" * 1_000_000

    visitor = _get(sandbox.port, b"/c/bestdeals/acme-shoes?sub1=a&junk=" + junk)
    postback = _get(sandbox.port, b"/postback?click_id=a&junk=" + junk)

    assert visitor.startswith(b"HTTP/1.1 302")
    assert postback.startswith(b"HTTP/1.1 413")
    assert "too_large" in sandbox.command("quarantine", "list", "--json").stdout


def test_headers_without_end_are_not_taken_in(sandbox):
    """A sender that never comes to its end keeps no memory of ours."""
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=10) as sender:
        sender.sendall(b"GET /healthz HTTP/1.1\r\nHost: t\r\n")
        assert _answer_to_endless(sender).startswith(b"HTTP/1.1 400")


def test_what_no_url_should_hold_is_understood_all_the_same(sandbox):
    """A raw letter beyond ASCII, or a blank: the visitor arrives with its label."""
    visitor = _get(sandbox.port, "/c/bestdeals/acme-shoes?sub1=é b".encode())
    postback = _get(sandbox.port, "/postback?click_id=ü ü".encode())

    assert b"s=%C3%A9%20b" in visitor
    assert postback.startswith(b"HTTP/1.1 404")
    assert b"unknown_click" in postback


def test_after_everything_was_killed_the_next_start_goes_on(sandbox):
    """Even the stores: nothing that was acknowledged is gone."""
    click_id = sandbox.click(sub1="before-the-crash")
    sandbox.report(click_id, "order-before")

    _kill_all(sandbox.process.pid)
    sandbox.process.communicate()
    sandbox.start()

    assert sandbox.report(click_id, "order-before").json()["status"] == "duplicate"
    _await(lambda: "before-the-crash" in sandbox.command("trace", click_id).stdout)


def _delays(sandbox):
    """Seconds from each change to the start of its first attempt."""
    import psycopg  # noqa: PLC0415 - only this test looks behind the curtain

    from tracker.settings import load_settings  # noqa: PLC0415
    from tracker.supervisor import find_running  # noqa: PLC0415

    settings = find_running(load_settings(sandbox.environ, needs=()))
    with psycopg.connect(settings.database_conninfo) as connection:
        rows = connection.execute(
            """
            select extract(epoch from attempt.started_at - archive.created_at)::float
              from delivery_attempts as attempt
              join delivery_archive  as archive on archive.id = attempt.delivery_id
             where attempt.number = 1
            """
        )
        return [row[0] for row in rows]


def _answer_to_endless(sender):
    """What stops a sender that listens after every few headers."""
    sender.settimeout(0.05)
    for _ in range(100):
        sender.sendall(b"X-Junk: x\r\n" * 1000)
        with suppress(TimeoutError):
            return sender.recv(65536)
    raise AssertionError("a megabyte of headers was taken in")


def _get(port, target):
    """What no client library would send, byte for byte."""
    request = b"GET " + target + b" HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def _await(is_so, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _kill_all(pid):
    """The supervisor and all it started, stores included, all at once."""
    listing = subprocess.run(
        ["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True
    )
    children = {}
    for line in listing.stdout.splitlines():
        child, parent = map(int, re.findall(r"\d+", line))
        children.setdefault(parent, []).append(child)
    doomed, queue = [], [pid]
    while queue:
        doomed.append(queue.pop())
        queue += children.get(doomed[-1], [])
    for one in doomed:
        os.kill(one, signal.SIGKILL)
