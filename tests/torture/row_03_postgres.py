"""Postgres is stopped, frozen, SIGKILLed, and hangs up on everybody all the time."""

import time
from contextlib import contextmanager

from arena import arena, processes_of_postgres
from checker import read_evidence
from row import Row, must, told

RECOVERY_SECONDS = 10
WINDOW_SECONDS = 1.0
WANTED = 0.98

HANG_UP = """
select pg_terminate_backend(pid)
from   pg_stat_activity
where  backend_type = 'client backend' and pid <> pg_backend_pid()
"""


def attack(scale):
    attacks = {
        "stopped": (stopped, scale.pick(30, 1.5)),
        "SIGKILLed": (killed, scale.pick(1, 0.5)),
        "hung up on": (hung_up_on, scale.pick(30, 1.5)),
    }
    if scale.is_full:
        attacks["frozen"] = (frozen, 30)
    with arena(scale) as ground:
        processes = ground.start(ground.web(), ground.worker(), ground.sink())
        traffic = ground.traffic(processes[0], seed=scale.seed, rate=80).start()
        ground.await_hits(1)
        for name, (spoiled, seconds) in attacks.items():
            with spoiled(ground):
                time.sleep(seconds)
            yield _recovered(ground, name, time.monotonic())
        tally = ground.settle(traffic)
        yield from _answers(read_evidence(ground.folder))
        yield from tally.findings()


@contextmanager
def stopped(ground):
    ground.postgres.stop()
    yield
    ground.postgres.start()


@contextmanager
def killed(ground):
    ground.kill_postgres()
    yield
    ground.postgres.start()


@contextmanager
def frozen(ground):
    """It neither answers nor hangs up."""
    with ground.frozen(processes_of_postgres(ground.postgres)):
        yield


@contextmanager
def hung_up_on(ground):
    """Five times a second."""
    with ground.repeating(0.2, lambda: ground.ask(HANG_UP)):
        yield


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
    seen = read_evidence(ground.folder)
    tried = sum(after <= at < before for at in seen.asked_at)
    answered = sum(
        one.status == 200 for one in seen.answers if after <= one.tried_at < before
    )
    return answered / tried if tried else 0.0


def _answers(seen):
    yield told("redirects", f"{len(seen.redirects)}, p99 {seen.latency():.0f} ms")
    spooled = sum(one.status == 202 for one in seen.answers)
    yield told("postbacks", f"{len(seen.answers)}, {spooled} of them spooled")


ROW = Row(
    3, "Postgres stopped, frozen, SIGKILLed, hanging up five times a second", attack
)
