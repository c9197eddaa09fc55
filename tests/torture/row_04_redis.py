"""Redis is SIGKILLed, frozen, full, read-only, and at last it forgets everything."""

import signal
import time
from dataclasses import replace

import faults
from arena import arena, wait_until
from checker import NOTHING_ODD, check
from row import Row, must, told

RATE = 80
LONGEST_MS = 75
_SECOND_LOAD = 1_000_000

AUDITED_AFTER_SECONDS = 601
MISSING = "clicks.missing"
UNAUDITED = """
select count(*)
from   (select slice, sum(kept) as kept from click_counts group by slice) as counted
left   join click_audits as audited using (slice)
where  audited.slice is null
or     audited.kept <> counted.kept
or     audited.found < audited.kept and audited.audited_at < %s
"""


def attack(scale):
    with arena(scale) as ground:
        web, worker, _ = ground.start(ground.web(), ground.worker(), ground.sink())
        traffic = ground.traffic(web, seed=scale.seed, rate=RATE, share=0.3).start()
        ground.await_hits(1)
        yield from _interrupted(ground, scale)
        tally = ground.settle(traffic)
        yield from tally.findings()
        yield must("of these, clicks", tally.counted_lost, tally.counted_lost == 0)
        yield from _flushed(ground, scale, web, worker)


def _interrupted(ground, scale):
    """What Redis had acknowledged is there afterwards."""
    attacks = {
        "SIGKILLed": (faults.redis_killed, scale.pick(5, 0.7)),
        "SIGSTOPped": (faults.redis_frozen, scale.pick(30, 0.7)),
        "out of memory": (faults.redis_full, scale.pick(10, 0.7)),
        "read-only": (faults.redis_read_only, scale.pick(10, 0.7)),
    }
    times = {}
    for name, (spoiled, seconds) in attacks.items():
        started = time.monotonic()
        with spoiled(ground):
            time.sleep(seconds)
        times[name] = (started, time.monotonic())
        time.sleep(scale.pick(2, 0.4))
    seen = ground.seen()
    yield told("before", f"p99 {seen.latency(before=times['SIGKILLed'][0]):.0f} ms")
    for name, (after, before) in times.items():
        yield _redirected(name, scale, seen, after, before)


def _redirected(name, scale, seen, after, before):
    """
    Everybody, and soon.

    In brief there are too few to tell of one in a hundred, so it is one in ten; and
    whoever runs tests has other work for the machine, so they have thrice the time.
    """
    some = [one for one in seen.redirects if after <= one.due < before]
    arrived = sum(one.status == 302 for one in some)
    share = scale.pick(0.99, 0.9)
    took = seen.latency(after, before, share)
    figure = f"{arrived} of {len(some)}, p{share * 100:.0f} {took:.0f} ms"
    is_all = arrived == len(some) >= RATE * (before - after) * 0.9
    limit = scale.pick(LONGEST_MS, 3 * LONGEST_MS)
    what = f"{name}: redirected in ≤ {limit} ms"
    return must(what, figure, is_all and took <= limit)


def _flushed(ground, scale, web, worker):
    """Clicks that nobody had folded are gone; their ids still tell whose they are."""
    worker.signal(signal.SIGSTOP)
    traffic = ground.traffic(
        web, seed=scale.seed + 1, rate=RATE, first=_SECOND_LOAD
    ).start()
    wait_until(lambda: ground.count_unfolded() > RATE, 30, "clicks")
    started = time.monotonic()
    with ground.redis() as client:
        client.flushall()
    time.sleep(scale.pick(5, 0.5))
    ended = time.monotonic()
    worker.signal(signal.SIGCONT)
    ground.finish(traffic)
    ground.drain()
    yield _redirected("FLUSHALL", scale, ground.seen(), started, ended)
    yield from _counted(ground, web, worker)


def _counted(ground, web, worker):
    """The rest of the books is as if these clicks had been counted by their ids."""
    seen, books = ground.seen(), ground.books()
    told_of = {one.click for one in seen.redirects if one.click}
    lost = told_of - books.clicks
    counted = _audited(ground, web, worker)
    figure = f"{len(lost)} lost, {counted} counted"
    yield must("FLUSHALL: clicks", figure, lost and counted == len(lost))
    sold = {one.transaction for one in books.conversions if one.click in lost}
    yield told("sales of lost clicks, attributed", len(sold))
    excused = replace(books, counted_lost=books.counted_lost | lost)
    yield from check(seen, excused, NOTHING_ODD).findings()


def _audited(ground, web, worker):
    """What a worker says is missing, once all that was confirmed can be judged."""
    web.signal(signal.SIGTERM)
    web.await_end()
    ground.pass_time(AUDITED_AFTER_SECONDS)
    (now,) = ground.ask("select tracker_now()")
    worker.kill()
    worker.start()
    wait_until(lambda: ground.ask(UNAUDITED, now)[0] == 0, 30, "an audit")
    missing = {one["clicked_at"]: one["number"] for one in ground.events(MISSING)}
    return sum(missing.values())


ROW = Row(4, "Redis SIGKILLed, SIGSTOPped 30 s, full, read-only, flushed", attack)
