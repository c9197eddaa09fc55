"""What a postback asks for is done, against a real partner and a real Postgres."""

from dataclasses import replace
from datetime import timedelta

import pytest
from aiohttp import web
from parties import (
    CLICK_ID,
    a_catalog,
    a_change,
    a_conversion,
    a_delivery,
    a_postback,
    an_offer,
)
from structlog.testing import capture_logs

from tracker.domain.delivery import owed_deliveries
from tracker.domain.macro_values import Occasion
from tracker.domain.outbound import Rule, When
from tracker.flow.delivery import deliver_due, sweep_deliveries

TEN_MINUTES = timedelta(minutes=10)


@pytest.fixture
def arrive(ledger):
    """The click of a delivery arrives in the click log."""

    def arrive(delivery, **columns):
        day = delivery.macro_values["clicked_at"][:10]
        row = {"day": day, "id": CLICK_ID, "clicked_at": day, "class": 0}
        row |= {"partner_number": 1, "offer_number": 1, "catalog_version": 1}
        names, values = zip(*(row | columns).items(), strict=True)
        ledger.execute(
            "select tracker_make_partitions('clicks', %s::date, %s::date)", day, day
        )
        marks = ", ".join("%s" for _ in values)
        ledger.execute(
            f"insert into clicks ({', '.join(names)}) values ({marks})", *values
        )

    return arrive


@pytest.fixture
def owe_late(runtime, owe, partner_inbox):
    """A delivery of this postback, whose click is not there yet."""

    async def owe_late(**changed):
        postback = a_postback(partner_inbox.url("/pb?i={ip}&u={click.utm}"))
        runtime.catalog = a_catalog(replace(postback, **changed))
        unseen = Occasion(a_change(), a_conversion(), None, runtime.catalog)
        (delivery,) = owed_deliveries(unseen)
        await owe(delivery)
        return delivery

    return owe_late


async def test_a_delay_is_waited_for_and_the_order_kept(
    runtime, owe, partner_inbox, clock
):
    runtime.catalog = a_catalog(a_postback(partner_inbox.url("/pb?c={change_id}")))
    late = a_catalog(a_postback(partner_inbox.url(), delay=TEN_MINUTES))
    await owe(a_delivery(1, catalog=late))
    clock.advance(minutes=5)
    await owe(a_delivery(2, catalog=late))

    clock.advance(minutes=4)
    assert await deliver_due(runtime) == 0
    clock.advance(minutes=2)
    assert await deliver_due(runtime) == 1
    assert await deliver_due(runtime) == 0
    clock.advance(minutes=5)
    assert await deliver_due(runtime) == 1

    assert [hit.target[-1] for hit in partner_inbox.hits] == ["1", "2"]


async def test_a_click_that_comes_late_fills_what_only_it_knows(
    runtime, owe_late, arrive, partner_inbox, ledger
):
    late = await owe_late(when=When(labels={"sub2": {"fb"}}))
    params = '{"utm": "mail", "other": "x"}'
    arrive(late, sub2="fb", address="192.0.2.1", params=params, user_agent="curl")
    await sweep_deliveries(runtime)
    (kept,) = ledger.column("select macro_values from deliveries")
    await deliver_due(runtime)

    assert kept.keys().isdisjoint({"user_agent", "click.other"})
    assert partner_inbox.hits[0].query == {"i": ["192.0.2.1"], "u": ["mail"]}


async def test_a_click_that_comes_late_with_other_labels_is_no_alarm(
    runtime, owe_late, arrive, partner_inbox, ledger
):
    late = await owe_late(when=When(labels={"sub2": {"fb"}}))
    arrive(late, sub2="google")
    await sweep_deliveries(runtime)
    with capture_logs() as logs:
        await deliver_due(runtime)

    assert ledger.archived == ["dead not_wanted"]
    assert partner_inbox.hits == []
    assert [log["event"] for log in logs] == ["delivery.not_wanted"]


async def test_a_call_without_what_it_requires_is_not_made(
    runtime, owe, partner_inbox, ledger
):
    url = partner_inbox.url("/pb?a={sub2|required}")
    runtime.catalog = a_catalog(a_postback(url))
    await owe(a_delivery(1, catalog=runtime.catalog))

    await deliver_due(runtime)

    assert ledger.archived == ["dead not_wanted"]
    assert partner_inbox.hits == []


async def test_labels_that_were_asked_for_later_keep_nothing_that_is_owed(
    runtime, owe, partner_inbox
):
    await owe(a_delivery(catalog=runtime.catalog))
    edited = When(labels={"sub1": {"two"}, "click.utm": {"*"}})
    runtime.catalog = a_catalog(a_postback(partner_inbox.url(), when=edited))
    await deliver_due(runtime)

    assert len(partner_inbox.hits) == 1


async def test_an_answer_that_refuses_ends_it_and_is_no_failure_of_the_lane(
    runtime, owe, partner_inbox, ledger
):
    runtime.catalog = a_catalog(
        a_postback(partner_inbox.url(), final=Rule(frozenset({"5xx"})))
    )
    partner_inbox.answers.extend(web.Response(status=500) for _ in range(12))
    for number in range(12):
        await owe(a_delivery(conversion=f"cv_{number}", catalog=runtime.catalog))
    await deliver_due(runtime)

    assert ledger.archived == ["dead refused"] * 12
    assert ledger.column("select lane from lanes") == []
    assert set(ledger.column("select error from delivery_attempts")) == {"final_answer"}


async def test_a_lane_of_an_offer_pauses_resumes_and_goes_on_without_its_postback(
    runtime, owe, partner_inbox, ledger
):
    told = a_postback(partner_inbox.url())
    offer = an_offer(postbacks=(told,))
    with_it = replace(
        a_catalog(told), partners={}, offers={offer.key: offer}, postbacks=(told,)
    )
    runtime.catalog = with_it
    partner_inbox.answers.append(410)
    of_offer = a_delivery(catalog=a_catalog()).but(
        partner="offer:acme-shoes",
        lane=f"offer:acme-shoes/sales@127.0.0.1:{partner_inbox.port}",
    )
    of_all = a_delivery(2, conversion="cv_2").but(
        partner="*", lane=f"*/sales@127.0.0.1:{partner_inbox.port}"
    )
    await owe(of_offer)
    await deliver_due(runtime)
    assert [one.partner for one in await runtime.lanes.list_stopped()] == [
        "offer:acme-shoes"
    ]
    await runtime.lanes.resume(of_offer.lane)
    await runtime.deliveries.retry(of_offer.id)

    runtime.catalog = a_catalog()
    await owe(of_all)
    await deliver_due(runtime)
    assert set(ledger.column("select held_reason from deliveries")) == {
        "removed_postback"
    }

    runtime.catalog = with_it
    await sweep_deliveries(runtime)
    await deliver_due(runtime)
    assert ledger.archived == ["delivered", "delivered"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_any_method_is_called_by_its_name(runtime, owe, partner_inbox, method):
    runtime.catalog = a_catalog(
        a_postback(partner_inbox.url(), method=method, json='{"a":["{sub1}",1.50]}')
    )
    await owe(a_delivery(catalog=runtime.catalog))
    await deliver_due(runtime)

    (hit,) = partner_inbox.hits
    assert (hit.method, hit.body) == (method, b'{"a":["one",1.50]}')
