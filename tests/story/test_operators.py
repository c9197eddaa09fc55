from decimal import Decimal

import pytest

from tracker.domain.errors import NotFoundError, RefusedChangeError
from tracker.domain.offer import Status
from tracker.flow.conversion import (
    Operator,
    set_conversion_amount,
    set_conversion_status,
)

ANN = Operator("ann", note="asked by phone")


@pytest.fixture
async def conversion_id(visit, advertiser, run_worker_once):
    order = {"goal": "sale", "transaction_id": "t-1", "amount": "10"}
    answer = await advertiser.report(await visit(sub1="one"), **order)
    await run_worker_once()
    return answer.json()["conversion_id"]


async def test_a_rejection_by_hand_is_told_and_remembered(
    runtime, conversion_id, partner, rows, run_worker_once
):
    await set_conversion_status(runtime, conversion_id, Status.REJECTED, ANN)
    await run_worker_once()

    assert [told["status"] for told in partner.told] == ["approved", "rejected"]
    changes = await rows("select * from conversion_changes order by number")
    assert (changes[1]["operator"], changes[1]["note"]) == ("ann", "asked by phone")
    assert (changes[1]["old_status"], changes[1]["status"]) == ("approved", "rejected")


async def test_an_operator_may_reopen_what_was_rejected(runtime, conversion_id):
    await set_conversion_status(runtime, conversion_id, Status.REJECTED, ANN)
    changed = await set_conversion_status(runtime, conversion_id, Status.APPROVED, ANN)
    assert changed.status is Status.APPROVED


async def test_a_corrected_amount_corrects_payout_and_revenue(
    runtime, conversion_id, partner, run_worker_once
):
    changed = await set_conversion_amount(
        runtime, conversion_id, Decimal("100.05"), ANN
    )
    await run_worker_once()

    assert (changed.money.payout, changed.money.revenue) == (
        Decimal("8.00"),
        Decimal("12.01"),
    )
    assert [told["payout"] for told in partner.told] == ["0.80", "8.00"]


async def test_what_changes_nothing_is_refused(runtime, conversion_id):
    with pytest.raises(RefusedChangeError):
        await set_conversion_status(runtime, conversion_id, Status.APPROVED, ANN)
    with pytest.raises(RefusedChangeError):
        await set_conversion_amount(runtime, conversion_id, Decimal(10), ANN)


async def test_a_conversion_that_is_not_there_is_not_found(runtime):
    with pytest.raises(NotFoundError):
        await set_conversion_status(runtime, "cv_1", Status.APPROVED, ANN)


async def test_a_correction_leaves_what_the_advertiser_sent(
    runtime, visit, advertiser, rows
):
    order = {"goal": "sale", "transaction_id": "t-9", "amount": "10"}
    answer = await advertiser.report(await visit(), **order, currency="EUR")

    await set_conversion_amount(
        runtime, answer.json()["conversion_id"], Decimal(50), ANN
    )

    (row,) = await rows(
        "select amount::int, sent_amount::int, sent_currency from conversions"
    )
    assert row == {"amount": 50, "sent_amount": 10, "sent_currency": "EUR"}
