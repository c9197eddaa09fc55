"""How fast clicks move from Redis into the click log, and what room they take."""

import time

import servers
from ground import prepared
from load import Throughput
from rounds import scaled
from seed import a_click, copies, store_clicks
from sizes import measure_sizes, size_rows
from table import at_least, judged, kept

CLICKS = 200_000
MOST_SECONDS = 600
SPEED = at_least(20_000, 40_000)


def measure():
    """Clicks that wait in Redis, folded by one worker."""
    clicks = scaled(CLICKS)
    with prepared() as ground:
        ground.write_catalog()
        click = a_click(ground)
        empty = measure_sizes(ground)
        store_clicks(ground, copies(ground, click, clicks))
        unfolded = measure_sizes(ground)
        yield judged(
            "click log into Postgres, rows/s",
            fold(ground),
            SPEED,
            f"{clicks:,} clicks by one worker, from the first batch to the last",
        )
        yield kept(
            "clicks found in Postgres", ground.count("clicks"), Throughput(clicks)
        )
        yield from size_rows(empty, unfolded, measure_sizes(ground), clicks)


def fold(ground):
    """Everything that waits, by a worker of its own; rows a second."""
    waiting = ground.count_unfolded()
    with servers.worker(ground) as worker:
        worker.wait_until(lambda: ground.count_unfolded() < waiting, pause=0.01)
        started, left = time.monotonic(), ground.count_unfolded()
        worker.wait_until(
            lambda: not ground.count_unfolded(), seconds=MOST_SECONDS, pause=0.01
        )
        return left / (time.monotonic() - started)
