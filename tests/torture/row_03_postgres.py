"""Postgres is stopped, frozen, SIGKILLed, and hangs up on everybody all the time."""

import time

import faults
from arena import arena
from row import Row, must, told

RECOVERY_SECONDS = 10
WINDOW_SECONDS = 0.6
WANTED = 0.98


def attack(scale):
    attacks = {
        "stopped": (faults.postgres_stopped, scale.pick(30, 3)),
        "SIGKILLed": (faults.postgres_killed, scale.pick(1, 0.5)),
        "hung up on": (faults.postgres_hanging_up, scale.pick(30, 1)),
    }
    if scale.is_full:
        attacks["frozen"] = (faults.postgres_frozen, 30)
    with arena(scale) as ground:
        processes = ground.start(ground.web(), ground.worker(), ground.sink())
        traffic = ground.traffic(processes[0], seed=scale.seed, rate=80).start()
        ground.await_hits(1)
        for name, (spoiled, seconds) in attacks.items():
            started = time.monotonic()
            with spoiled(ground):
                time.sleep(seconds)
            ended = time.monotonic()
            yield _recovered(ground, name, ended)
            yield _meanwhile(ground.seen(), started, ended)
        yield from ground.settle(traffic).findings()


def _recovered(ground, name, since):
    """Nearly all that is asked is answered by Postgres again, and not by the spool."""
    while time.monotonic() < since + RECOVERY_SECONDS + WINDOW_SECONDS:
        time.sleep(WINDOW_SECONDS / 4)
        now = time.monotonic() - WINDOW_SECONDS / 2
        took = now - WINDOW_SECONDS - since
        if took > 0 and _share_answered(ground, now - WINDOW_SECONDS, now) >= WANTED:
            what = f"{name}: ≥ 98 % of the rate within 10 s"
            return must(what, f"{took:.1f} s", took <= RECOVERY_SECONDS)
    return must(f"{name}: ≥ 98 % of the rate within 10 s", "not at all", holds=False)


def _share_answered(ground, after, before):
    """Of what advertisers asked in this window, what was answered 200."""
    seen = ground.seen()
    tried = sum(after <= at < before for at in seen.asked_at)
    answered = sum(
        one.status == 200 for one in seen.answers if after <= one.tried_at < before
    )
    return answered / tried if tried else 0.0


def _meanwhile(seen, after, before):
    answers = [one for one in seen.answers if after <= one.tried_at < before]
    spooled = sum(one.status == 202 for one in answers)
    p99 = seen.latency(after, before)
    figure = f"{len(answers)} postbacks, {spooled} spooled; redirects p99 {p99:.0f} ms"
    return told("meanwhile", figure)


ROW = Row(
    3, "Postgres stopped, frozen, SIGKILLed, hanging up five times a second", attack
)
