"""
Row 13: a stateful property machine.

Hypothesis draws what happens, step by step, and shrinks what breaks a promise to the
least that does. `property_machine.py` has the rules, `ledger_model.py` what must be
true, `audit.py` the comparison, `small_world.py` the product and its surroundings.
"""

import asyncio
import logging
import time
from contextlib import contextmanager
from datetime import UTC, datetime

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from property_machine import TrackerMachine
from row import Row, must, told
from small_world import open_ground, short_waits
from stores import started_stores, temporary_folder
from trade import BASE

from tracker.catalog import check_text, draft_catalog, seal_draft
from tracker.store.catalogs import CatalogStore, Edit
from tracker.store.migrations import migrate
from tracker.store.partitions import Partitions
from tracker.store.postgres import make_pool

TEMPLATE = "template_of_worlds"


def attack(scale):
    runs, steps = scale.pick((500, 40), (30, 20))
    began = time.monotonic()
    with _ground() as (ground, runner):
        machine = _machine(ground, runner, scale)
        violation = _run(machine, runs, steps)
    seconds = time.monotonic() - began
    yield must("violations", violation or 0, violation is None)
    enough = (
        machine.runs >= runs and machine.steps >= scale.pick(0.95, 0.8) * runs * steps
    )
    figure = f"{machine.steps} in {machine.runs} runs of up to {steps}"
    yield must("steps", figure, enough or violation)
    yield told("a step took", f"{seconds / max(1, machine.steps) * 1000:.1f} ms")


ROW = Row(13, "a stateful property machine", attack)


def _machine(ground, runner, scale):
    """A class of its own, so that its counts begin at nothing."""
    own = {"ground": ground, "runner": runner, "template": TEMPLATE}
    return seed(scale.seed)(type("Tracker", (TrackerMachine,), own))


def _run(machine, runs, steps):
    """The least that breaks a promise, in words; None where nothing does."""
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=runs,
                stateful_step_count=steps,
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=(Phase.generate, Phase.shrink),
                report_multiple_bugs=False,
                print_blob=False,
            ),
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        return "\n".join([repr(error), *getattr(error, "__notes__", ())])
    return None


@contextmanager
def _ground():
    """Stores, proxies and partners' servers, for all runs."""
    with (
        _quiet("psycopg"),
        short_waits(),
        temporary_folder() as folder,
        started_stores() as stores,
        asyncio.Runner() as runner,
        stores.database(TEMPLATE) as url,
    ):
        ground = runner.run(open_ground(stores, folder))
        try:
            runner.run(_prepare(url, ground.secrets()))
            yield ground, runner
        finally:
            runner.run(ground.close())


async def _prepare(url, secrets):
    """Migrated, and with the first catalog in force."""
    await migrate(url)
    text = BASE.as_text()
    draft = draft_catalog(check_text(text, "partners.yaml", secrets))
    now = datetime.now(UTC)
    edit = Edit(text, draft.content_hash, now, 0, draft.keys)
    async with make_pool(url, size=1) as pool:
        await Partitions(pool).make_ahead(now.date())
        await CatalogStore(pool).insert(
            edit,
            lambda version, numbers: seal_draft(
                draft, version=version, numbers=numbers
            ),
        )


@contextmanager
def _quiet(name):
    """It says aloud that a store is away, which is known here."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
