"""What a batch of postbacks leaves behind, and what two at the same moment do."""

import asyncio
import json
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import chain, count
from multiprocessing import get_context

import pytest
from cast import TOKEN
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from reporting import accept_batch, accept_together, begin_together

from tracker.domain.click_id import ClickClass, ClickIdMint, SigningKeys
from tracker.domain.identity import new_postback_id
from tracker.domain.outcome import Verdict
from tracker.domain.postback import Postback
from tracker.flow.start import start
from tracker.runtime import open_runtime

# An empty value counts as absent.
BELIEVED = st.fixed_dictionaries({
    "click_id": st.sampled_from(["first", "first", "second"]),
    "goal": st.sampled_from(["lead", "sale", "upsell", "install", "trial", "refill"]),
    "transaction_id": st.sampled_from(["t-1", "t-2", ""]),
    "amount": st.sampled_from(["10", "10.005", "3000"]),
    "status": st.sampled_from(["", "pending", "approved", "rejected"]),
})  # fmt: skip

CHANGED = st.sampled_from([
    *[{}] * 16,
    *[{"click_id": "", "route": "acme"}] * 3,
    *[{"late": 3}] * 2,
    {"click_id": "lost"},
    {"click_id": "of a quiet partner"},
    {"currency": "EUR"},
    {"revenue": "7"},
    {"token": "wr0ng-token"},
    {"click_id": "forged"},
    {"click_id": "long ago"},
    {"goal": "nothing"},
    {"amount": ""},
    {"amount": "abc"},
    {"amount": "5001"},
    {"status": "perhaps"},
])  # fmt: skip

BATCH = st.lists(st.builds(dict.__or__, BELIEVED, CHANGED), min_size=3, max_size=16)

UPSELL = {"click_id": "first", "goal": "upsell", "amount": "10"}

LEFT = {
    "conversions": "to_jsonb(it)",
    "conversion_keys": "to_jsonb(it)",
    "conversion_changes": "to_jsonb(it) - 'written_at'",
    "deliveries": "to_jsonb(it) - array['created_at', 'due_at']",
    "postbacks": "to_jsonb(it)",
}
"""What is written, but for what the clock has made of it."""


class Process:
    """A web process with a ledger of its own."""

    def __init__(self, runtime):
        self._runtime = runtime

    async def accept(self, *postbacks):
        return await accept_together(self._runtime, postbacks)

    async def empty(self):
        pool = self._runtime.pool
        async with pool.connection() as connection, connection.transaction():
            for table in LEFT:
                await connection.execute(f"delete from {table}")

    async def left(self):
        """Every row of its ledger."""
        async with self._runtime.pool.connection() as connection:
            return {table: await _rows(connection, table) for table in LEFT}


async def _rows(connection, table):
    cursor = await connection.execute(f"select {LEFT[table]} from {table} as it")
    return sorted([row for (row,) in await cursor.fetchall()], key=json.dumps)


@pytest.fixture
async def together(runtime):
    return Process(runtime)


@pytest.fixture
async def one_by_one(settings, stores, catalog_database):
    """Its keys, its catalog and its clicks are those of the other one."""
    with stores.database("story_one_by_one", catalog_database) as url:
        alike = settings.model_copy(update={"database_url": SecretStr(url)})
        async with open_runtime(alike) as runtime:
            await start(runtime)
            yield Process(runtime)


@pytest.fixture
async def clicks(visit, runtime):
    """Click ids, by what is special about them."""

    def mint(mint=runtime.mint, age=timedelta()):
        return mint.mint(
            now=datetime.now(UTC) - age,
            shard=0,
            click_class=ClickClass.VISIT,
            partner_number=runtime.catalog.partners["bestdeals"].number,
            offer_number=runtime.catalog.offers["shoes"].number,
        )

    return {
        "first": await visit(sub1="one"),
        "second": await visit(sub1="two"),
        "of a quiet partner": await visit("quiet/shoes"),
        "lost": mint(),
        "long ago": mint(age=timedelta(days=31)),
        "forged": mint(ClickIdMint(SigningKeys(0, {0: b"guessed"}))),
    }


@pytest.fixture
def written(runtime, clicks):
    """What an advertiser's server said in some minute, as the web process has it."""
    # After every click: one that was overtaken is not too early for that.
    beginning = datetime.now(UTC) + timedelta(hours=1)

    def written(minute, said):
        said = {"token": TOKEN, "route": None, "late": 0, **said}
        at = beginning + timedelta(minutes=minute - said.pop("late"))
        token, route = said.pop("token"), said.pop("route")
        said["click_id"] = clicks.get(said["click_id"], said["click_id"])
        return Postback(
            id=new_postback_id(at),
            received_at=at,
            method="GET",
            path="/postback",
            address="127.0.0.1",
            route=route,
            parameters=tuple(said.items()),
            token_digest=runtime.hasher.digest(token),
        )

    return written


# The same stores serve all examples: each begins with nothing in them. To explain a
# failure would take minutes.
@settings(
    max_examples=40,
    deadline=None,
    phases=set(Phase) - {Phase.explain},
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(said=st.lists(BATCH, min_size=1, max_size=3))
@example([[UPSELL, {**UPSELL, "transaction_id": "t-1"}]])
async def test_a_batch_leaves_what_one_by_one_would_have_left(
    together, one_by_one, written, said
):
    """Whatever in it is new, repeated, changed, in conflict or not believed."""
    await together.empty()
    await one_by_one.empty()
    minutes = count()
    batches = [[written(next(minutes), one) for one in batch] for batch in said]

    answers = [await together.accept(*batch) for batch in batches]
    expected = [
        [(await one_by_one.accept(one))[0] for one in batch] for batch in batches
    ]

    assert answers == expected
    assert await together.left() == await one_by_one.left()


SIZE = 40

HELD = {
    "a new key": """
        insert into conversion_keys values ('acme', 'transaction:sale:20', '')""",
    "a known key": """
        select from conversion_keys where key = 'transaction:sale:20' for update""",
    "a conversion": """
        select from conversions where (goal, transaction_id) = ('lead', '20')
           for update""",
}
"""In the midst of what both processes are about to lock."""


@pytest.fixture
def processes():
    spawned = get_context("spawn")
    barrier = spawned.Barrier(2, timeout=60)
    with ProcessPoolExecutor(2, spawned, begin_together, (barrier,)) as processes:
        yield processes


@pytest.fixture
def wait_until(rows):
    """Asks Postgres of the two processes' connections, until it says yes."""
    asked = "from pg_stat_activity where application_name = 'reporting'"

    async def wait_until(question):
        async with asyncio.timeout(20):
            while await rows(  # noqa: ASYNC110 - nothing rings when somebody waits
                f"select {asked} having not ({question})"
            ):
                await asyncio.sleep(0.005)

    return wait_until


@pytest.fixture
def collide(settings, runtime, written, processes, wait_until):
    """
    Both processes accept what was said to them, and neither gets past what is held.

    What they wait for is let go when both do.
    """
    url = SecretStr(f"{settings.database_conninfo}&application_name=reporting")
    alike = settings.model_copy(update={"database_url": url})

    def accept(said):
        batch = [written(0, one) for one in said]
        run = asyncio.get_running_loop().run_in_executor
        return run(processes, accept_batch, alike, batch)

    async def collide(held, *said):
        async with (
            runtime.pool.connection() as connection,
            connection.transaction(force_rollback=True),
        ):
            await connection.execute(HELD[held])
            accepting = [accept(one) for one in said]
            await wait_until("count(*) filter (where wait_event_type = 'Lock') = 2")
        answers = await asyncio.gather(*accepting)
        await wait_until("count(*) = 0")
        return Counter(outcome.verdict for outcome in chain(*answers))

    return collide


async def test_opposite_orders_in_two_processes_do_not_deadlock(
    visit, together, written, collide, rows
):
    """
    By the same keys, and by the two keys that each of some conversions has.

    Both are stopped half way: had they begun at opposite ends, each would hold then
    what the other one wants next.
    """
    numbers = [{"transaction_id": str(number)} for number in range(SIZE)]
    sales = [{"click_id": "first", "goal": "sale", "amount": "1", **n} for n in numbers]
    by_click = [{"click_id": await visit()} for _ in range(SIZE)]
    by_order = [{"click_id": "", "route": "acme", "goal": "lead", **n} for n in numbers]
    leads = map(dict.__or__, by_order, by_click)
    await together.accept(*(written(0, one) for one in leads))

    new = await collide("a new key", sales, sales[::-1])
    known = await collide("a known key", sales, sales[::-1])
    led = await collide("a conversion", by_click, by_order[::-1])

    assert new == {Verdict.ACCEPTED: SIZE, Verdict.DUPLICATE: SIZE}
    assert known == led == {Verdict.DUPLICATE: 2 * SIZE}
    assert await rows("select count(*) from conversions") == [{"count": 2 * SIZE}]
    assert await rows(
        "select deadlocks from pg_stat_database where datname = current_database()"
    ) == [{"deadlocks": 0}]
