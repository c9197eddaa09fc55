"""How soon partners hear of a conversion, and how many one worker can tell."""

import time
from datetime import UTC, datetime
from statistics import median, quantiles

import servers
from catalog_file import CatalogFile
from ground import prepared
from load import push, send_at
from published import QUERY
from sales import sales_of, visit
from table import Row, at_least, at_most, judged

PARTNERS = 64
"""So many that no limit of a single partner is what is measured."""

RATE = 200
WARM_UP_SECONDS = 1
OPEN_SECONDS = 10
BACKLOG = 20_000
MOST_SECONDS = 90

DELAY = at_most(50, 15, " ms")
SPEED = at_least(2000, 5000)

_FINISHED = """
select (select count(*) from delivery_attempts where started_at >= %(since)s),
       count(*),
       extract(epoch from max(finished_at) - (
           select min(started_at) from delivery_attempts
            where started_at >= %(since)s))
  from delivery_archive
 where finished_at >= %(since)s
"""


def measure():
    """From the commit to the partner, and then a backlog."""
    port = servers.free_port()
    with prepared() as ground:
        ground.write_catalog(CatalogFile(partners=PARTNERS, sink_port=port))
        with servers.web(ground) as ours:
            click_ids = [visit(ours, link) for link in _links()]
            sales = sales_of(click_ids, "sale")
            yield from _delay(ground, ours, sales, port)
            _owe(ground, ours, sales)
        yield from _speed(ground, port)


def _links():
    keys = ["bestdeals", *(f"partner-{number}" for number in range(1, PARTNERS))]
    return [f"/c/{key}/shoes?{QUERY}" for key in keys]


def _delay(ground, ours, sales, port):
    with servers.sink(ground, port) as notes, servers.worker(ground) as worker:
        warm = send_at(ours, sales.named("warm"), RATE, WARM_UP_SECONDS, {})
        _deliver_all(ground, worker)
        found = send_at(ours, sales.named("open"), RATE, OPEN_SECONDS, {})
        _deliver_all(ground, worker)
    calls = _calls(notes)
    delays = [arrived - changed for arrived, changed in calls[len(warm.seconds) :]]
    yield judged(
        "conversion committed → partner called, p95 at 200/s",
        quantiles(delays, n=20)[18] * 1000,
        DELAY,
        "from the arrival of the postback, so with the commit; median "
        f"{median(delays) * 1000:.1f} ms, of which the advertiser waited"
        f" {found.percentile(0.5) * 1000:.1f} ms for its answer",
    )
    sent = len(warm.seconds) + len(found.seconds)
    yield _told("calls at 200/s that the partners got", len(calls), sent)


def _owe(ground, ours, sales):
    """A backlog, by as many postbacks; nobody delivers it yet."""
    while ground.count("deliveries") < BACKLOG:
        push(ours, sales.named(f"backlog-{time.monotonic_ns()}"), 1, {})


def _speed(ground, port):
    backlog = ground.count("deliveries")
    since = ground.ask("select tracker_now()")[0]
    with servers.sink(ground, port) as notes, servers.worker(ground) as worker:
        _deliver_all(ground, worker)
    attempts, finished, seconds = ground.ask(_FINISHED, since=since)
    yield judged(
        "deliveries/s by one worker, attempts logged",
        finished / float(seconds),
        SPEED,
        f"{finished:,} to {PARTNERS} partners in {seconds:.1f} s",
    )
    yield _told(
        "calls of the backlog that the partners got", len(_calls(notes)), backlog
    )
    yield _told("attempts of the backlog found in Postgres", attempts, backlog)


def _told(what, found, owed):
    """At least once each; more often only where a worker died."""
    verdict = "reached" if found >= owed else "short"
    return Row(what, f"{found:,}", verdict=verdict, remark=f"{owed:,} owed")


def _calls(notes):
    """When each call arrived, and when its postback had."""
    lines = (line.split() for line in notes.read_text().splitlines())
    return [(float(arrived), _seconds(changed_at)) for arrived, changed_at in lines]


def _seconds(changed_at):
    return datetime.fromisoformat(changed_at).astimezone(UTC).timestamp()


def _deliver_all(ground, worker):
    worker.wait_until(
        lambda: not ground.ask("select exists (select from deliveries)")[0],
        seconds=MOST_SECONDS,
    )
