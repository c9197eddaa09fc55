"""Row 7: partners whose servers misbehave, each in another way, all at once."""

import asyncio
import json
import time

from bad_partners import party
from parties import a_catalog, a_change, a_click, a_conversion, a_postback
from row import Row, must, told
from wire_ground import prepared, running

from tracker.domain.answer import RETRY_DELAYS
from tracker.domain.delivery import owed_deliveries
from tracker.domain.macro_values import Occasion
from tracker.store.deliveries import insert_deliveries
from tracker.store.postgres import make_pool

MOST_MEGABYTES = 50
SLOT_SECONDS = 16.0
_JITTER = 0.2
_POLL_SECONDS = 0.02

WRITTEN = """
select   postback, delivery_id, attempt.outcome, http_status, error, held_reason
from     delivery_attempts as attempt
join     (select id, postback, held_reason from deliveries
          union all
          select id, postback, null from delivery_archive) as delivery
on       delivery.id = attempt.delivery_id
where    number = 1
"""
LEASED = "select id from deliveries where lease_token is not null and attempts = 1"
DONE = "select delivery_id from delivery_attempts where number = 1"


def attack(scale):
    calls = scale.pick(full=8, brief=2)
    # In brief there are other attacks beside it.
    most = scale.pick(full=SLOT_SECONDS, brief=SLOT_SECONDS + 6)
    with party() as guests, prepared(_catalog_text(guests)) as ground:
        authority = ground.folder / "authority.pem"
        authority.write_bytes(guests.authority)
        trusted = {"SSL_CERT_FILE": str(authority)}
        with running(ground, "worker", **trusted) as worker:
            worker.wait_until(lambda: ground.rows("select from catalog_versions"))
            yield from _told(ground, worker, guests, calls, most)
            # Its second calls are in flight, and would be waited for.
            worker.process.kill()
        yield must("requests that followed a redirect", *_none(guests.hits_elsewhere))


def _told(ground, worker, guests, calls, most):
    """Each partner is owed so many calls, and all of them are due at once."""
    before = worker.resident_kilobytes()
    owed = asyncio.run(_owe(ground, guests, calls))
    freed = _watch(ground, owed)
    rows = [row for row in ground.rows(WRITTEN) if row[1] in owed]
    waits = _read_waits(worker)
    wrong = [fault for row in rows for fault in _faults(row, guests, waits)]
    yield told(f"{calls} calls at once to each of", len(guests.partners))
    yield must("calls without a verdict", *_none(len(owed) - len(rows)))
    yield must("wrong verdicts", wrong[:9] or 0, not wrong)
    slowest = max(freed.values(), default=0.0)
    yield must(
        f"the slowest slot was free within {most:.0f} s",
        f"{slowest:.1f} s",
        slowest <= most,
    )
    extra = (worker.resident_kilobytes("VmHWM") - before) / 1024
    yield must("extra memory", f"{extra:.0f} MB", extra <= MOST_MEGABYTES)


def _none(number):
    return number, number == 0


async def _owe(ground, guests, calls):
    """One conversion owes one call to each of them; the ids of all."""
    postbacks = [
        a_postback(one.url, id=one.id, success=one.success) for one in guests.partners
    ]
    catalog = a_catalog(*postbacks)
    owed = [
        delivery
        for call in range(calls)
        for delivery in _owed_by(f"cv_{call}", catalog)
    ]
    async with (
        make_pool(ground.database_url, size=1) as pool,
        pool.connection() as connection,
        connection.transaction(),
    ):
        await insert_deliveries(connection, owed)
    return {delivery.id for delivery in owed}


def _owed_by(conversion, catalog):
    change = a_change(id=f"ch_{conversion}", conversion_id=conversion)
    made = a_conversion(id=conversion)
    return owed_deliveries(Occasion(change, made, a_click(), catalog))


def _watch(ground, owed):
    """How long each delivery was in flight, as it is seen from outside."""
    begun, freed = {}, {}
    deadline = time.monotonic() + 40
    while len(freed) < len(owed) and time.monotonic() < deadline:
        leased = {row[0] for row in ground.rows(LEASED)} & owed
        done = {row[0] for row in ground.rows(DONE)} & owed
        now = time.monotonic()
        for one in leased | done:
            begun.setdefault(one, now)
        for one in done:
            freed.setdefault(one, now - begun[one])
        time.sleep(_POLL_SECONDS)
    return freed


def _read_waits(worker):
    """Seconds until each delivery's second attempt, as they were logged."""
    lines = worker.said().splitlines()
    said = [json.loads(line) for line in lines if '"attempt":1,' in line]
    return {one["delivery_id"]: one["retry_in_s"] for one in said}


def _faults(row, guests, waits):
    """What is wrong with what was written down of one call."""
    postback, delivery, outcome, status, error, held = row
    (partner,) = [one for one in guests.partners if one.id == postback]
    expected = _expected(partner, guests, delivery)
    found = (outcome, status, error.partition(":")[0])
    if found != expected:
        yield f"{partner.name}: {found} instead of {expected}"
    if partner.failure == "gone" and held != "paused_lane":
        yield f"{partner.name}: not held"
    if outcome == "failed" and not held and not _is_right(waits[delivery], partner):
        yield f"{partner.name}: again after {waits[delivery]} s"


def _expected(partner, guests, delivery):
    if partner.outcome != "either":
        return partner.outcome, partner.status, partner.failure
    status = guests.flapping.told[delivery]
    failed = ("failed", status, "bad_status")
    return ("delivered", status, "") if status == 200 else failed


def _is_right(seconds, partner):
    """The schedule's first delay, or what the partner asked for."""
    first = RETRY_DELAYS[0].total_seconds()
    least = partner.asks or first * (1 - _JITTER)
    most = partner.asks or first * (1 + _JITTER)
    return least - 0.01 <= seconds <= most + 0.01


def _catalog_text(guests):
    postbacks = [
        {"id": one.id, "url": one.url}
        | ({"success": one.success} if one.success else {})
        for one in guests.partners
    ]
    partner = {"offers": "all", "postbacks": postbacks}
    return json.dumps(
        {
            "version": 1,
            "currency": "USD",
            "advertisers": {"acme": {"auth": {"token": "${ACME_TOKEN}"}}},
            "offers": {
                "shoes": {
                    "advertiser": "acme",
                    "url": "https://shop.example/?cid={click_id}",
                    "goals": {"sale": {"payout": "1", "revenue": "2"}},
                }
            },
            "partners": {"bestdeals": partner},
        }
    )


ROW = Row(7, "partners that misbehave in every way, all at once", attack)
