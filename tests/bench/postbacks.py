"""How fast sales are recorded with what they owe, and how soon that is answered."""

import servers
from clicks import speeds
from ground import prepared
from load import send_at
from published import URL
from rounds import Contestant, alternate
from sales import sales_of, visit
from table import at_least, at_most, judged, kept

WARM_UP_SECONDS = 1
RATE = 1000
OPEN_SECONDS = 10

THROUGHPUT = at_least(3, 6, "×")
P99 = at_most(15, 6, " ms")


def measure():
    """Postbacks that are each accepted and owe a delivery, against a textbook's."""
    with (
        prepared() as ground,
        _web(ground) as ours,
        servers.textbook(ground) as textbook,
    ):
        sales = sales_of([visit(ours, URL)], "sale")
        contestants = {
            "tracker": Contestant(ours, sales),
            "textbook": Contestant(textbook, sales),
        }
        for contestant in contestants.values():
            contestant.push("warm", WARM_UP_SECONDS)
        rounds = alternate(contestants)
        yield from speeds("postbacks", rounds)
        yield rounds.compare(
            "accepted postbacks/s, deliveries enqueued, against textbook",
            THROUGHPUT,
            rounds.ratios("per_second", "tracker", "textbook"),
        )
        latencies = send_at(ours, sales.named("open"), RATE, OPEN_SECONDS, {})
        yield _latency(latencies)
        total = contestants["tracker"].total + latencies.total
        for table in ("conversions", "deliveries"):
            yield kept(f"{table} found in Postgres", ground.count(table), total)


def _web(ground):
    ground.write_catalog()
    return servers.web(ground)


def _latency(found):
    return judged(
        "postback p99, open loop at 1,000/s",
        found.percentile(0.99) * 1000,
        P99,
        f"median {found.percentile(0.5) * 1000:.1f} ms",
    )
