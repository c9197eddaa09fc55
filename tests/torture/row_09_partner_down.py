"""
A partner is down for half an hour (`tracker_now()` is moved from probe to probe), with
thousands of deliveries due, two workers, and other partners that answer. Down is: its
port refuses connections; and, in the full attack, it answers 503.
"""

import asyncio

from lane_ground import Partner, grounds
from parties import Clock
from row import Row, must, told

HALF_AN_HOUR = 1800
OTHERS = 3
TO_TELL_ALL_SECONDS = 600
"""Sixteen at once, as on every lane."""

_OPENED_AT = "select opened_at from lanes where partner = 'fallen'"
_IS_OPEN = """
select exists (
    select from lanes where partner = 'fallen' and open_until > tracker_now())
"""
_WAIT = """
select coalesce(extract(epoch from max(open_until) - tracker_now()), 0)
from   lanes where partner = 'fallen' and opened_at is not null
"""
_CALLS = """
select count(*) filter (where started_at <= %(since)s),
       count(*) filter (where started_at > %(since)s)
from   delivery_attempts where delivery_id like 'dl_fallen%%'
"""
_MOST_CHARGED = """
select coalesce(max(failed), 0)
from   (select count(*) filter (where outcome <> 'delivered') as failed
        from delivery_attempts where delivery_id like 'dl_fallen%%'
        group by delivery_id) as charged
"""
_ATTEMPTS = "select max(attempts) from deliveries where partner = 'fallen'"
_TOLD = """
select count(*) from delivery_archive
where  partner = 'fallen' and outcome = 'delivered'
"""
_NONE_OWED = "select not exists (select from deliveries where partner = 'fallen')"


def attack(scale):
    number = scale.pick(10_000, 500)
    for refuses in scale.pick((True, False), (True,)):
        how = "refusing" if refuses else "answering 503"
        for finding in _attack(number, refuses=refuses):
            yield type(finding)(f"{how}: {finding.what}", finding.figure, finding.holds)


def _attack(number, *, refuses):
    fallen = Fallen()
    others = {f"other{n}": Partner(_well) for n in range(OTHERS)}
    ports = {key: one.port for key, one in others.items()} | {"fallen": fallen.port}
    with grounds(ports) as (ground,), ground.worker(), ground.worker():
        story = _Story(ground, fallen, others, refuses=refuses)
        yield from asyncio.run(story.run(number))


async def _well(_):
    return 200


class Fallen(Partner):
    def __init__(self):
        super().__init__(self._say)
        self.is_well = False

    async def _say(self, _):
        return 200 if self.is_well else 503


class _Story:
    def __init__(self, ground, fallen, others, *, refuses):
        self.ground, self.fallen, self.others = ground, fallen, others
        self.clock = Clock(ground.url)
        self.refuses = refuses
        self.elapsed = 0.0

    async def run(self, number):
        for one in self.others.values():
            await one.come_up()
        if not self.refuses:
            await self.fallen.come_up()
        self.ground.owe("fallen", [f"fallen{n}" for n in range(number)])
        traffic = asyncio.create_task(self._tell_others())
        try:
            return await self._fall_and_recover(number)
        finally:
            traffic.cancel()

    async def _fall_and_recover(self, number):
        await self.ground.until(_IS_OPEN)
        opened_at = self.ground.ask(_OPENED_AT)[0]
        while self.elapsed < HALF_AN_HOUR:
            await self._go_on_to_the_next_probe()
        before, after = self.ground.ask(_CALLS, since=opened_at)
        charged = self.ground.ask(_ATTEMPTS)[0]
        await self._come_back()
        failed, done = self.ground.ask(_MOST_CHARGED)[0], self.ground.ask(_TOLD)[0]
        return [
            told("calls until it was open, with those in flight then", before),
            must("calls after that in half an hour", after, after <= 40),
            must("attempts charged to one while it was down", charged, charged <= 1),
            must("failed attempts of one in all", failed, failed <= 1),
            must("delivered after", f"{done} of {number}", done == number),
        ]

    async def _go_on_to_the_next_probe(self):
        wait = float(self.ground.ask(_WAIT)[0]) + 0.1
        self.clock.advance(seconds=min(wait, HALF_AN_HOUR - self.elapsed + 0.1))
        self.elapsed += wait
        self.ground.wake()
        await self.ground.until(_IS_OPEN)

    async def _come_back(self):
        self.fallen.is_well = True
        if self.refuses:
            await self.fallen.come_up()
        wait = float(self.ground.ask(_WAIT)[0])
        self.clock.advance(seconds=max(wait, 0) + 0.1)
        self.ground.wake()
        await self.ground.until(_NONE_OWED, seconds=TO_TELL_ALL_SECONDS)

    async def _tell_others(self):
        """So that nobody takes it for our own network."""
        number = 0
        while True:
            for key in self.others:
                number += 1
                await asyncio.to_thread(self.ground.owe, key, [f"{key}_{number}"])
            await asyncio.sleep(0.05)


ROW = Row(9, "a partner down for half an hour, thousands of deliveries due", attack)
