"""Workers are SIGKILLed one after the other, while deliveries are due all the time."""

import time
from itertools import cycle, islice

from arena import arena
from row import Row, must, told

from tracker.store.deliveries import LEASE

PARTNER_SECONDS = 0.01


def attack(scale):
    calm, storm, every = scale.pick((20, 60, 5.0), (1.5, 4.0, 2.0))
    with arena(scale) as ground:
        web, *workers, _ = ground.start(
            ground.web(),
            ground.worker(),
            ground.worker(),
            ground.sink(delay=PARTNER_SECONDS),
        )
        traffic = ground.traffic(web, seed=scale.seed, rate=80, share=1.0).start()
        _await_flow(ground)
        undisturbed = _rate(ground, lambda: time.sleep(calm))
        disturbed = _rate(ground, lambda: _kill_in_turn(workers, storm, every))
        ground.finish(traffic)
        yield told("undisturbed", f"{undisturbed:.1f} deliveries/s")
        yield _kept_rate(disturbed / undisturbed, scale.pick(0.95, 0.6))
        yield _drained(ground, scale)
        yield from ground.check().findings()


def _kill_in_turn(workers, seconds, every):
    """As whoever watches over them does, each is started again at once."""
    for worker in islice(cycle(workers), int(seconds / every)):
        time.sleep(every)
        worker.kill()
        worker.start()


def _await_flow(ground):
    """The load, the workers and the partner are all at work."""
    ground.await_hits(1)
    time.sleep(0.5)


def _rate(ground, meanwhile):
    """Deliveries a second that reach a partner for the first time."""
    before, started = ground.count_told(), time.monotonic()
    meanwhile()
    return (ground.count_told() - before) / (time.monotonic() - started)


def _kept_rate(share, wanted):
    """In brief somebody is killed twice as often, and other attacks run beside it."""
    return must(f"rate meanwhile ≥ {wanted:.0%}", f"{share:.1%}", share >= wanted)


def _drained(ground, scale):
    """In brief, time moves on by the lease that a dead worker holds."""
    lease = LEASE.total_seconds()
    skipped = scale.pick(0, lease)
    if skipped:
        ground.pass_time(skipped)
    took = skipped + ground.drain(seconds=lease + 60, hurries=False)
    most = lease + scale.pick(5, 20)
    return must(f"drained within {most:.0f} s", f"{took:.1f} s", took <= most)


ROW = Row(2, "a worker SIGKILLed every 5 s for 60 s, two workers", attack)
