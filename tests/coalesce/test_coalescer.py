import asyncio
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.coalesce import Bounds, Coalescer, Faults, each_or_error
from tracker.domain.errors import OverloadedError, StoreUnavailableError
from tracker.loops import end_tasks


class Poisoned(Exception):  # noqa: N818 - a bad item, not an error of ours
    """The store refuses a batch because of one item."""


class AwayError(Exception):
    """The store is not there."""


FAULTS = Faults(
    is_poison=lambda error: isinstance(error, Poisoned),
    is_outage=lambda error: isinstance(error, AwayError),
)


class Store:
    """Takes batches when it is let; doubles every item, refuses `bad` ones."""

    def __init__(self):
        self.batches = []
        self.open = asyncio.Event()
        self.fails = None
        self.bad = frozenset()

    async def take(self, items):
        self.batches.append(list(items))
        await self.open.wait()
        if self.fails:
            raise self.fails
        if self.bad & set(items):
            raise Poisoned
        return [item * 2 for item in items]


@pytest.fixture
async def store():
    return Store()


@pytest.fixture
async def coalescer(store):
    bounds = Bounds(batch=8, waiting=20)
    return Coalescer(store.take, name="test", faults=FAULTS, bounds=bounds)


async def submitted(coalescer, items):
    """A task for each item, all of them waiting."""
    tasks = [asyncio.create_task(coalescer.submit(item)) for item in items]
    await asyncio.sleep(0)
    return tasks


async def taken(store, batches):
    """Until the store was given so many batches."""
    async with asyncio.timeout(5):
        while len(store.batches) < batches:  # noqa: ASYNC110 - it comes by itself
            await asyncio.sleep(0)


async def test_an_idle_store_is_not_waited_for(coalescer, store):
    store.open.set()
    assert await coalescer.submit(1) == 2
    assert store.batches == [[1]]


async def test_what_gathers_while_the_store_is_busy_shares_its_next_call(
    coalescer, store
):
    first = await submitted(coalescer, [1])
    await taken(store, 1)
    others = await submitted(coalescer, [2, 3, 4])
    store.open.set()

    assert await asyncio.gather(*first, *others) == [2, 4, 6, 8]
    assert store.batches == [[1], [2, 3, 4]]


async def test_a_batch_stays_open_to_those_at_the_door(store):
    """As long as they come, and not for ever."""
    store.open.set()
    bounds = Bounds(rounds=4)
    coalescer = Coalescer(store.take, name="test", faults=FAULTS, bounds=bounds)
    tasks = await submitted(coalescer, [0])
    for n in range(1, 100):
        tasks += await submitted(coalescer, [n])
    await asyncio.gather(*tasks)

    assert store.batches[0][:3] == [0, 1, 2]
    assert len(store.batches[0]) < 20


async def test_an_idle_door_is_not_waited_at(store):
    store.open.set()
    bounds = Bounds(rounds=1_000_000)
    coalescer = Coalescer(store.take, name="test", faults=FAULTS, bounds=bounds)
    async with asyncio.timeout(1):
        assert await coalescer.submit(1) == 2


async def test_who_waits_for_too_long_is_told(store):
    bounds = Bounds(seconds=0.01)
    coalescer = Coalescer(store.take, name="test", faults=FAULTS, bounds=bounds)
    tasks = await submitted(coalescer, [1, 2])
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(answer) for answer in answers} == {StoreUnavailableError}

    store.open.set()
    assert await coalescer.submit(3) == 6
    await coalescer.close()


async def test_batches_are_bounded_and_keep_the_order_of_arrival(coalescer, store):
    tasks = await submitted(coalescer, range(20))
    store.open.set()
    await asyncio.gather(*tasks)

    assert [len(batch) for batch in store.batches] == [8, 8, 4]
    assert list(chain(*store.batches)) == list(range(20))


async def test_a_caller_that_goes_away_does_not_take_its_item_with_it(coalescer, store):
    leaves, stays = await submitted(coalescer, [1, 2])
    leaves.cancel()
    store.open.set()

    assert await stays == 4
    assert store.batches == [[1, 2]]


async def test_a_bad_item_fails_alone(coalescer, store):
    store.bad = frozenset({3})
    tasks = await submitted(coalescer, range(8))
    store.open.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert [n for n, answer in enumerate(answers) if answer != n * 2] == [3]
    assert isinstance(answers[3], Poisoned)


async def test_a_store_that_is_away_fails_what_has_gathered_too(coalescer, store):
    """They would only wait to hear the same."""
    store.fails = AwayError()
    first = await submitted(coalescer, [1])
    await taken(store, 1)
    waiting = await submitted(coalescer, range(2, 20))
    store.open.set()
    answers = await asyncio.gather(*first, *waiting, return_exceptions=True)

    assert {type(answer) for answer in answers} == {AwayError}
    assert store.batches == [[1]]


async def test_after_a_failure_the_next_call_is_a_new_one(coalescer, store):
    store.open.set()
    store.fails = AwayError()
    with pytest.raises(AwayError):
        await coalescer.submit(1)
    store.fails = None
    assert await coalescer.submit(2) == 4


async def test_past_the_bound_nothing_is_taken_in(coalescer, store):
    first = await submitted(coalescer, [0])
    await taken(store, 1)
    waiting = await submitted(coalescer, range(1, 21))
    with pytest.raises(OverloadedError):
        await coalescer.submit(99)
    store.open.set()

    await asyncio.gather(*first, *waiting)
    assert 99 not in chain(*store.batches)


async def test_closing_waits_for_what_was_taken_in(coalescer, store):
    tasks = await submitted(coalescer, range(10))
    closing = asyncio.create_task(coalescer.close())
    store.open.set()
    await closing
    assert [task.result() for task in tasks] == [n * 2 for n in range(10)]


async def test_halves_of_a_bad_batch_keep_the_order_of_arrival(coalescer, store):
    store.bad = frozenset({3})
    tasks = await submitted(coalescer, range(8))
    store.open.set()
    await asyncio.gather(*tasks, return_exceptions=True)

    taken = chain(*(batch for batch in store.batches if 3 not in batch))
    assert list(taken) == [0, 1, 2, 4, 5, 6, 7]


async def test_who_submits_without_end_does_not_keep_another_waiting(coalescer, store):
    """Twelve come again as soon as they are answered; one waits for its turn, once."""
    store.open.set()

    async def greedy():
        while True:
            await coalescer.submit(0)

    crowd = [asyncio.create_task(greedy()) for _ in range(12)]
    await asyncio.sleep(0)
    began = len(store.batches)
    async with asyncio.timeout(5):
        await coalescer.submit(1)
    await end_tasks(crowd)

    # Eight of those before it go first, and then the four others, and it.
    assert any(1 in batch for batch in store.batches[began : began + 2])


async def test_who_goes_away_while_waiting_leaves_the_order_as_it_was(coalescer, store):
    tasks = await submitted(coalescer, range(16))
    await asyncio.sleep(0)
    for leaves in (tasks[2], tasks[10]):
        leaves.cancel()
    store.open.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert list(chain(*store.batches)) == list(range(16))
    cancelled = [isinstance(one, asyncio.CancelledError) for one in answers]
    assert [n for n, is_so in enumerate(cancelled) if is_so] == [2, 10]


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=40), st.sets(st.integers(0, 50))
)
async def test_whatever_is_bad_each_item_gets_its_own_answer(items, bad):
    async def take(some):
        if bad & set(some):
            raise Poisoned
        return [item * 2 for item in some]

    answers = await each_or_error(items, take, FAULTS.is_poison)

    expected = [None if item in bad else item * 2 for item in items]
    found = [None if isinstance(answer, Poisoned) else answer for answer in answers]
    assert found == expected


async def test_an_item_that_comes_as_the_last_batch_ends_is_taken_too(coalescer, store):
    """Submitted by whoever was answered, at that very moment."""
    store.open.set()

    async def chain_of(number):
        return [await coalescer.submit(n) for n in range(number)]

    async with asyncio.timeout(5):
        answers = await asyncio.gather(*(chain_of(50) for _ in range(8)))
    assert answers == [[n * 2 for n in range(50)]] * 8
