"""What ten thousand partners cost: memory, and an edit while visitors come."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import servers
from catalog_file import LARGE
from ground import prepared
from load import Requests, push, send_at
from published import HEADERS, URL
from table import at_most, judged

LINKS = 1_000
WARM_UP_SECONDS = 2
RATE = 1_000
EDITS = 3
VISITING_SECONDS = 12
"""That visitors come; an edit is made one second after the first of them."""

MEMORY = at_most(220, 130, " MB")
IN_FORCE = at_most(8, None, " s")
DELAY = at_most(100, None, " ms")


def measure():
    """One web process and one worker, which does the checking, on another core."""
    with prepared() as ground:
        ground.write_catalog(LARGE)
        with (
            servers.web(ground) as ours,
            servers.worker(ground, cores=servers.OTHER_CORES),
        ):
            push(ours, Requests(LARGE.links(LINKS)), WARM_UP_SECONDS, HEADERS)
            memory = ours.resident_bytes()
            quiet = _visits(ours)
            edits = [_edit(ground, ours, f"edit-{n}") for n in range(EDITS)]
            later = ours.resident_bytes()
    yield _memory(memory, later)
    yield from _in_force(quiet, edits)


def _visits(server):
    return send_at(server, Requests((URL,)), RATE, VISITING_SECONDS, HEADERS)


def _edit(ground, server, landing):
    """Seconds until the first visitor lands elsewhere, and what all of them waited."""
    with ThreadPoolExecutor(1) as threads:
        visits = threads.submit(_visits, server)
        time.sleep(1)
        ground.write_catalog(replace(LARGE, landing=landing))
        edited = time.monotonic()
        _await_landing(server, landing)
        seconds = time.monotonic() - edited
        return seconds, visits.result()


def _await_landing(server, landing):
    with httpx.Client() as client:
        server.wait_until(
            lambda: landing in client.get(server.url(URL)).headers["location"],
            pause=0.1,
        )


def _memory(resident, later):
    return judged(
        "resident memory of a web process, 10,000 partners and 1,000 offers",
        max(resident, later) / 1e6,
        MEMORY,
        f"after {EDITS} edits under load; {resident / 1e6:.0f} MB before them",
    )


def _in_force(quiet, edits):
    seconds = [seconds for seconds, _ in edits]
    listed = ", ".join(f"{one:.1f}" for one in seconds)
    yield judged(
        "an edit of 10,000 partners is in force",
        max(seconds),
        IN_FORCE,
        f"the slowest of {EDITS}: {listed} s",
    )
    visits = [found for _, found in edits]
    failed = sum(found.failed for found in visits)
    yield judged(
        "slowest click meanwhile, at 1,000/s",
        max(found.percentile(1) for found in visits) * 1000,
        DELAY,
        f"without an edit {quiet.percentile(1) * 1000:.1f} ms; {failed} failed",
    )
