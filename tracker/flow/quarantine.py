"""A postback in quarantine is judged again."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from tracker.domain.errors import BusyError, NotFoundError, RefusedChangeError
from tracker.domain.judgement import WAIVABLE, Rules, dialect_of
from tracker.domain.outcome import Outcome, Reason, Verdict
from tracker.domain.postback import Postback, reread
from tracker.flow.ledger import Decided, find_clicks, write_changes
from tracker.flow.postback import clicks_of, hear, judge_alone, postbacks_of
from tracker.runtime import Runtime
from tracker.store.conversions import LedgerTransaction, Release

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pardon:
    """
    An operator's word on a postback.

    `click_id` takes the place of what the postback named; `waived` is the one
    reason that no longer counts.
    """

    operator: str
    click_id: str | None = None
    waived: Reason | None = None


async def release_postback(
    runtime: Runtime, postback_id: str, pardon: Pardon
) -> Outcome:
    """
    Judges a postback as of its arrival, under the catalog now in force.

    It may end in another reason. Raises NotFoundError if it is not in quarantine,
    RefusedChangeError for a reason that leaves nothing to record.
    """
    if pardon.waived is not None and pardon.waived not in WAIVABLE:
        raise RefusedChangeError(f"{pardon.waived} cannot be waived")
    rules = runtime.rules().but(waived=pardon.waived)
    async with runtime.conversions.transaction() as opened:
        postback = await recall_postback(opened, postback_id, rules)
        heard = hear(_pardoned(postback, pardon, rules), rules)
        found = await find_clicks(runtime, clicks_of([heard]))
        judged, ledger = await judge_alone(opened, heard)
        said = postbacks_of([heard])
        decided = Decided(ledger, rules.catalog, found, said)
        await write_changes(runtime, opened, decided)
        now = datetime.now(UTC)
        release = Release(pardon.operator, now, postback, pardon.waived)
        await opened.release(judged, release)
    runtime.wake_worker()
    log.info(
        "postback.released",
        postback_id=postback_id,
        outcome=judged.outcome.verdict,
        reason=judged.outcome.reason,
        waived=pardon.waived,
        operator=pardon.operator,
    )
    return judged.outcome


@dataclass(frozen=True, slots=True)
class Attempted:
    """What came of one of several; `refused` says why there is no outcome."""

    postback_id: str
    outcome: Outcome | None
    refused: str = ""

    @property
    def is_believed(self) -> bool:
        """Whether it has left quarantine."""
        return (
            self.outcome is not None and self.outcome.verdict is not Verdict.QUARANTINED
        )


async def release_each(
    runtime: Runtime, postbacks: Iterable[str], pardon: Pardon
) -> list[Attempted]:
    """Each by itself: one that is refused does not keep the others."""
    return [await _attempt(runtime, one, pardon) for one in postbacks]


async def _attempt(runtime: Runtime, postback_id: str, pardon: Pardon) -> Attempted:
    try:
        outcome = await release_postback(runtime, postback_id, pardon)
    except (NotFoundError, RefusedChangeError, BusyError) as error:
        return Attempted(postback_id, None, str(error))
    return Attempted(postback_id, outcome)


async def recall_postback(
    opened: LedgerTransaction, postback_id: str, rules: Rules
) -> Postback:
    """
    One in quarantine, read by the names that are in force now.

    Raises NotFoundError if it is not there.
    """
    postback = await opened.get_quarantined(postback_id)
    return reread(postback, rules.catalog.dialect(postback.route), rules.hasher)


def _pardoned(postback: Postback, pardon: Pardon, rules: Rules) -> Postback:
    """The postback with the operator's click id in place of its own."""
    if pardon.click_id is None:
        return postback
    dialect = dialect_of(postback, rules.catalog)
    names = dialect.vocabulary.names["click_id"]
    if not names:
        raise RefusedChangeError("by its advertiser's params it has no click id")
    others = [pair for pair in postback.parameters if pair[0].lower() not in names]
    return postback.but(parameters=((names[0], pardon.click_id), *others))
