"""What waited on disk goes to the store that it was for, in order, once."""

from collections.abc import Sequence
from itertools import groupby

import msgspec
import structlog

from tracker import metrics
from tracker.catalog import load_snapshot
from tracker.coalesce import each_or_error
from tracker.domain.catalog import Catalog
from tracker.domain.errors import (
    BusyError,
    CatalogError,
    MigrationError,
    NotFoundError,
    SpoolError,
    StoreUnavailableError,
)
from tracker.domain.judgement import Rules
from tracker.failpoints import failpoint
from tracker.flow.clicklog import fold_entries
from tracker.flow.postback import accept_spooled, hear
from tracker.flow.spool import Arrival, read_arrival, read_click
from tracker.runtime import Runtime
from tracker.spool import Kind, Record, Spool
from tracker.store.postgres import is_passing

log = structlog.get_logger()

AT_ONCE = 256

DRAIN_SECONDS = 1.0
"""Between two looks at the folder."""

Refused = dict[int, str]
"""The error of each record, by its number, that no store takes."""


async def drain_spools(runtime: Runtime) -> None:
    """
    Everything that waits on this host and has no other owner goes to Postgres.

    What was drained already is recognised by its id: a crash between the store and
    the disk drains it again, to no effect. Within a process one drain follows another.
    """
    async with runtime.spools.draining:
        await _drain_all(runtime)


async def _drain_all(runtime: Runtime) -> None:
    await runtime.spools.adopt()
    metrics.SPOOL_WAITING.set(runtime.spools.waiting)
    if runtime.postgres_outage.is_on:
        return
    for spool in runtime.spools.spools:
        try:
            await _drain(runtime, spool)
        except SpoolError as error:
            log.error("spool.failed", error=str(error))  # noqa: TRY400 - it says enough
        except StoreUnavailableError as error:
            runtime.postgres_outage.begin(error)
        except Exception:
            # The others must not wait behind it.
            log.exception("spool.failed", spool=spool.name)


async def _drain(runtime: Runtime, spool: Spool) -> None:
    number = 0
    while spool.waiting and (records := await spool.list_waiting(AT_ONCE)):
        refused = await _settle(runtime, spool, records)
        failpoint("drain.settled")
        for record, error in refused.items():
            await spool.refuse(record, error)
        await spool.delete([r.number for r in records if r.number not in refused])
        failpoint("drain.deleted")
        number += len(records)
    if number:
        log.warning("spool.drained", spool=spool.name, records=number)
    await runtime.spools.let_go(spool)


async def _settle(runtime: Runtime, spool: Spool, records: Sequence[Record]) -> Refused:
    """Clicks first: a postback among the others may be about one of them."""
    clicks = [one for one in records if one.kind is Kind.CLICK]
    postbacks = [one for one in records if one.kind is Kind.POSTBACK]
    await fold_entries(runtime, [read_click(spool.name, one) for one in clicks])
    metrics.SPOOL_DRAINED.labels("click").inc(len(clicks))
    refused = await _accept(runtime, postbacks)
    metrics.SPOOL_DRAINED.labels("postback").inc(len(postbacks) - len(refused))
    return refused


async def _accept(runtime: Runtime, records: Sequence[Record]) -> Refused:
    """Judged as of their arrival, by the catalog that was in force then."""
    refused: Refused = {}
    arrivals: dict[int, Arrival] = {}
    for record in records:
        try:
            arrivals[record.number] = read_arrival(record)
        except msgspec.MsgspecError as error:
            _refuse(refused, record.number, error)
    for version, some in groupby(arrivals.items(), lambda it: it[1].catalog_version):
        rules = await _rules_of(runtime, version)
        refused |= await _accept_by(runtime, dict(some), rules)
    return refused


async def _accept_by(
    runtime: Runtime, arrivals: dict[int, Arrival], rules: Rules
) -> Refused:
    refused: Refused = {}
    hearings = [hear(one.postback, rules) for one in arrivals.values()]
    results = await each_or_error(
        hearings, lambda some: accept_spooled(runtime, some), _is_final
    )
    for number, result in zip(arrivals, results, strict=True):
        if isinstance(result, Exception):
            if not _is_final(result):
                raise result
            _refuse(refused, number, result)
    return refused


def _is_final(error: BaseException) -> bool:
    """Whether another try would meet it again: then it is the record's own."""
    of_the_store = StoreUnavailableError | BusyError | MigrationError
    return not (isinstance(error, of_the_store) or is_passing(error))


def _refuse(refused: Refused, number: int, error: Exception) -> None:
    """It was answered 202, so it is kept, and somebody has to look at it."""
    refused[number] = repr(error)
    metrics.SPOOL_REFUSED.inc()
    log.critical("spool.refused", record=number, error=repr(error))


async def _rules_of(runtime: Runtime, version: int) -> Rules:
    """Those of the version; where it cannot be had, those in force."""
    rules = runtime.rules()
    if version == rules.catalog.version:
        return rules
    try:
        return rules.but(catalog=await _catalog_of(runtime, version))
    except (NotFoundError, CatalogError) as error:
        log.warning("spool.other_catalog", version=version, error=str(error))
        return rules


async def _catalog_of(runtime: Runtime, version: int) -> Catalog:
    snapshot = await runtime.catalogs.get_snapshot(version)
    return await load_snapshot(snapshot, runtime.secrets)
