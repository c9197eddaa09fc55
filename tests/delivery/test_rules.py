"""What is owed, as which request, and what an answer means: nothing but rules."""

import base64
import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parties import (
    CLICK_ID,
    NOW,
    a_catalog,
    a_change,
    a_click,
    a_conversion,
    a_delivery,
    a_postback,
    an_offer,
)

from tracker.domain import macros
from tracker.domain.answer import (
    MAX_SEARCHED,
    RETRY_DELAYS,
    Answer,
    judge_answer,
    judge_failure,
)
from tracker.domain.click import AD_IDS
from tracker.domain.delivery import (
    EXPLANATIONS,
    Dead,
    DeadReason,
    Delivered,
    Failure,
    HeldReason,
    Hold,
    Retry,
    find_postback,
    is_wanted,
    owed_deliveries,
    revealed,
)
from tracker.domain.errors import NotFoundError, TemplateError
from tracker.domain.macro_values import Occasion, asked_values, macro_values
from tracker.domain.offer import Status
from tracker.domain.outbound import Span, When
from tracker.domain.request import build_request, sign
from tracker.domain.worth import Money

PENDING, APPROVED, REJECTED = Status

ANYTHING = st.text() | st.text(alphabet="{}$|&=#?/@:\\%\r\n\0 ;\"'<>é€\ud800ab1")


def owed(change=None, *, conversion=None, click=None, catalog=None):
    catalog = catalog or a_catalog()
    made = conversion or a_conversion()
    return owed_deliveries(Occasion(change or a_change(), made, click, catalog))


def request_of(postback, values=None, secrets=None):
    values = a_delivery().macro_values | (values or {})
    return build_request(postback, values, secrets or {}, "dl_1", NOW)


def judged(answer, *, attempts=1, chance=0.5, postback=None):
    return judge_answer(answer, postback or a_postback(), attempts, NOW, chance)


@pytest.mark.parametrize(
    ("when", "change", "is_due"),
    [
        (When(), a_change(), True),
        (When(goals={"sale"}), a_change(), True),
        (When(goals={"lead"}), a_change(), False),
        (When(statuses={APPROVED}), a_change(), True),
        (When(statuses={REJECTED}), a_change(), False),
        (
            When(statuses={APPROVED}),
            a_change(kind="status", old_status=PENDING),
            True,
        ),
        (
            When(statuses={APPROVED}),
            a_change(kind="status", old_status=APPROVED),
            False,
        ),
        (When(), a_change(kind="amount", old_status=APPROVED), False),
        (When(changes=True), a_change(kind="amount", old_status=APPROVED), True),
        (
            When(changes=True, statuses={REJECTED}),
            a_change(kind="amount", old_status=APPROVED),
            False,
        ),
        (When(offers={"acme-shoes"}), a_change(), True),
        (When(offers={"acme-hats"}), a_change(), False),
        (When(payout=Span(Decimal("2.50"), Decimal("2.50"))), a_change(), True),
        (When(payout=Span(least=Decimal("2.51"))), a_change(), False),
        (When(payout=Span(most=Decimal("2.49"))), a_change(), False),
        (When(amount=Span(least=Decimal(0))), a_change(), False),
        (
            When(changes=True, goals={"lead"}),
            a_change(kind="amount", old_status=APPROVED),
            False,
        ),
    ],
)
def test_a_postback_fires_on_what_it_asks_for(when, change, is_due):
    occasion = Occasion(change, a_conversion(), None, a_catalog())
    assert is_wanted(occasion, when) is is_due
    catalog = a_catalog(a_postback(when=when))
    assert len(owed(change, catalog=catalog)) == is_due


@pytest.mark.parametrize(
    ("labels", "is_due"),
    [
        ({"sub1": {"one"}}, True),
        ({"sub1": {"two", "one"}}, True),
        ({"sub1": {"two"}}, False),
        ({"sub1": {"*"}}, True),
        ({"sub2": {"*"}}, False),
        ({"sub2": {""}}, True),
        ({"sub1": {"one"}, "gclid": {"*"}}, False),
        ({"click.utm": {"mail"}}, True),
        ({"click.utm": {"web"}}, False),
        ({"ip": {"192.0.2.1"}}, True),
    ],
)
def test_a_postback_fires_for_the_labels_it_asks_for(labels, is_due):
    click = a_click(params={"utm": "mail"}, address="192.0.2.1")
    catalog = a_catalog(a_postback(when=When(labels=labels)))

    assert len(owed(click=click, catalog=catalog)) == is_due


def test_labels_that_nobody_knows_yet_are_waited_for():
    catalog = a_catalog(a_postback(when=When(labels={"sub1": {"two"}})))

    (delivery,) = owed(catalog=catalog)

    assert delivery.held_reason == HeldReason.CLICK_DETAILS


def test_offers_and_the_operator_are_told_of_every_partners_conversions():
    partners_own = a_postback("https://a.example/?r={revenue}", id="a")
    own = a_postback("https://b.example/?r={revenue}", id="a")
    offer = an_offer(postbacks=(own, a_postback(id="b", when=When(goals={"lead"}))))
    catalog = replace(
        a_catalog(partners_own), offers={offer.key: offer}, postbacks=(own,)
    )
    deliveries = owed(catalog=catalog)

    assert [one.lane for one in deliveries] == [
        "bestdeals/a@a.example",
        "offer:acme-shoes/a@b.example",
        "*/a@b.example",
    ]
    assert len({one.id for one in deliveries}) == 3
    shown = []
    for one in deliveries:
        audience, postback = find_postback(catalog, one.partner, one.postback)
        values = revealed(audience, one.macro_values)
        shown.append(build_request(postback, values, {}, one.id, NOW).url)
    assert shown == ["https://a.example/?r="] + ["https://b.example/?r=4.00"] * 2


@pytest.mark.parametrize("key", ["offer:gone", "offer:acme-shoes", "gone", "*"])
def test_what_was_removed_is_told_nothing(key):
    offer = an_offer(postbacks=(a_postback(),), is_retired=True)
    catalog = replace(a_catalog(), offers={offer.key: offer})

    with pytest.raises(NotFoundError):
        find_postback(catalog, key, "sales")


def test_a_delay_moves_what_is_due():
    (delivery,) = owed(catalog=a_catalog(a_postback(delay=timedelta(minutes=10))))

    assert delivery.due_at - delivery.created_at == timedelta(minutes=10)


def test_what_few_templates_ask_for_is_kept_where_they_do():
    old = Money("USD", Decimal("1.50"), Decimal(4), Decimal(30))
    new = Money("USD", Decimal("2.50"), Decimal(4), Decimal(20), Decimal(18), "EUR")
    names = [*sorted(macros.ASKED_MACROS), "click.utm", "postback.Email", "postback.t"]
    postback = a_postback(
        "https://a.example/", form={name: f"{{{name}}}" for name in names}
    )
    occasion = Occasion(
        a_change(kind="amount", old_status=APPROVED, money=new, old_money=old),
        a_conversion(),
        a_click(params={"utm": "mail"}, address="192.0.2.1", user_agent="curl"),
        a_catalog(a_postback()),
        sent=(("email", "a@b.example"), ("email", "c"), ("T", "***")),
    )

    assert asked_values(occasion, postback.asked) == {
        "ip": "192.0.2.1",
        "user_agent": "curl",
        "partner_name": "Best Deals",
        "offer_name": "acme-shoes",
        "advertiser_name": "acme",
        "change": "amount",
        "old_status": "approved",
        "amount_change": "-10.00",
        "payout_change": "1.00",
        "revenue_change": "0.00",
        "sent_amount": "18.00",
        "sent_currency": "EUR",
        "click.utm": "mail",
        "postback.Email": "a@b.example",
    }


def test_a_new_conversion_changes_by_all_it_is_worth():
    occasion = Occasion(a_change(), a_conversion(), None, a_catalog())
    asked = {"payout_change", "revenue_change", "amount_change", "old_status", "change"}

    assert asked_values(occasion, asked) == {
        "change": "created",
        "payout_change": "2.50",
        "revenue_change": "4.00",
    }


def test_every_postback_of_a_partner_is_owed_its_own_delivery():
    catalog = a_catalog(
        a_postback("https://A.example:8443/x?${K}", id="a"),
        a_postback("https://b.example?x={sub1}", id="b"),
        a_postback("https://${HOST}/x", id="c"),
        secrets={"K": "hush", "HOST": "c.example"},
    )
    deliveries = owed(click=a_click(), catalog=catalog)

    assert [one.lane for one in deliveries] == [
        "bestdeals/a@a.example:8443",
        "bestdeals/b@b.example",
        "bestdeals/c@c.example",
    ]
    assert len({one.id for one in deliveries}) == 3
    assert deliveries == owed(click=a_click(), catalog=catalog)


def test_a_secret_that_is_not_set_keeps_no_conversion_from_being_written():
    (delivery,) = owed(catalog=a_catalog(a_postback("https://${HOST}/x")))

    assert delivery.lane == "bestdeals/sales@"


def test_a_delivery_waits_for_its_click_only_if_it_asks_for_what_only_that_knows():
    asking = a_postback("https://a.example/", form={"s": "{sub1}"}, method="POST")

    assert owed()[0].held_reason is None
    assert owed(catalog=a_catalog(asking))[0].held_reason == HeldReason.CLICK_DETAILS
    assert owed(catalog=a_catalog(asking), click=a_click())[0].held_reason is None


def test_a_retired_partner_is_owed_and_not_told():
    (delivery,) = owed(catalog=a_catalog(is_retired=True))

    assert delivery.held_reason == HeldReason.REMOVED_POSTBACK


def test_every_macro_that_has_a_value_is_kept_with_it():
    money = Money("USD", Decimal("1E+2"), Decimal("0.000001"), Decimal("9.999"))
    change = a_change(money=money, status=PENDING)
    ad_ids = {name: name[0] for name in AD_IDS}
    click = a_click(subs=tuple("abcdefghij"), ad_ids=ad_ids)
    values = macro_values(change, a_conversion(), click, "dl_1")

    assert values.keys() == macros.DELIVERY_MACROS - macros.ASKED_MACROS - {
        "now",
        "uuid",
    }
    assert values["payout"] == "100.00"
    assert (values["amount"], values["revenue"]) == ("10.00", "0.00")
    assert (values["sub10"], values["gclid"], values["fbclid"]) == ("j", "g", "f")
    assert (values["click_id"], values["status"]) == (CLICK_ID, "pending")
    assert values["changed_at"] == "2026-11-22T11:00:00.123+00:00"
    assert (values["delivery_id"], values["change_id"]) == ("dl_1", "ch_1")


@pytest.mark.parametrize(("currency", "payout"), [("JPY", "3"), ("KWD", "2.500")])
def test_money_has_the_decimals_of_its_currency(currency, payout):
    money = Money(currency, Decimal("2.5"), Decimal(0))
    values = macro_values(a_change(money=money), a_conversion(), None, "dl_1")

    assert values["payout"] == payout
    assert "amount" not in values


def test_a_get_carries_the_delivery_and_who_we_are():
    request = request_of(a_postback("https://a.example/pb?k=${K}"), secrets={"K": "s"})

    assert request.url == "https://a.example/pb?k=s"
    assert request.masked_url == "https://a.example/pb?k=***"
    assert request.headers["X-Tracker-Delivery"] == "dl_1"
    assert request.headers["User-Agent"].startswith("tracker/")
    assert request.body == b""


def test_a_form_and_a_json_body_are_encoded_as_such():
    texts = {"s": "{sub1}", "k": "${K}"}
    for_form = a_postback(method="POST", form=texts)
    for_json = a_postback(method="POST", json=texts)
    form = request_of(for_form, {"sub1": "a&b=c é"}, {"K": "1"})
    body = request_of(for_json, {"sub1": '"},{'}, {"K": "1"})

    assert form.body == b"s=a%26b%3Dc+%C3%A9&k=1"
    assert form.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert json.loads(body.body) == {"s": '"},{', "k": "1"}
    assert body.headers["Content-Type"] == "application/json"


def test_what_a_url_may_not_hold_is_encoded_and_the_rest_untouched():
    request = request_of(a_postback("https://a.example/é b?x=%2B+~'\"&y=ü"))

    assert request.url == "https://a.example/%C3%A9%20b?x=%2B+~'\"&y=%C3%BC"


def test_a_missing_secret_or_a_macro_in_the_host_is_a_fault_of_the_template():
    for url in ("https://a.example/${K}", "https://{sub1}/", "https://a@b/", "x"):
        with pytest.raises(TemplateError):
            request_of(a_postback(url))
    with pytest.raises(TemplateError):
        request_of(a_postback(secret="whsec_%%%"))


def test_the_signature_is_the_one_of_standard_webhooks():
    """Vector: https://github.com/standard-webhooks/standard-webhooks (libraries)."""
    signature = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_partner_with_a_secret_can_verify_the_call():
    postback = a_postback(method="POST", json={"p": "{payout}"}, secret="${S}")
    request = request_of(postback, secrets={"S": "plain text"})

    assert request.headers["webhook-id"] == "dl_1"
    timestamp = int(request.headers["webhook-timestamp"])
    assert timestamp == int(NOW.timestamp())
    expected = sign("plain text", "dl_1", timestamp, b'{"p":"2.50"}')
    assert request.headers["webhook-signature"] == expected
    key = "whsec_" + base64.b64encode(b"plain text").decode()
    assert sign(key, "dl_1", timestamp, b'{"p":"2.50"}') == expected


@given(ANYTHING, ANYTHING)
def test_no_value_moves_the_call_or_adds_a_parameter(one, two):
    postback = a_postback("https://a.example:8443/p/{sub1}/q?x={sub1}&y={sub2}")
    url = urlsplit(request_of(postback, {"sub1": one, "sub2": two}).url)
    mark = [text.encode(errors="replace").decode() for text in (one, two)]

    assert (url.scheme, url.netloc) == ("https", "a.example:8443")
    assert url.path.count("/") == 3
    query = parse_qsl(url.query, keep_blank_values=True, strict_parsing=True)
    assert query == [("x", mark[0]), ("y", mark[1])]


@given(ANYTHING)
def test_no_value_adds_a_header_or_a_line(text):
    postback = a_postback(headers={"X-Label": "<{sub1}>", "X-Other": "{sub2}"})
    request = request_of(postback, {"sub1": text, "sub2": text})

    assert request.headers.keys() == {
        "X-Label",
        "X-Other",
        "User-Agent",
        "X-Tracker-Delivery",
    }
    for value in request.headers.values():
        assert not set(value) & {"\r", "\n", "\0"}


@given(ANYTHING)
def test_no_value_adds_a_field_to_a_body(text):
    texts = {"a": "{sub1}", "b": "x"}
    value = text.encode(errors="replace").decode()
    form = request_of(a_postback(method="POST", form=texts), {"sub1": value}).body
    body = request_of(a_postback(method="POST", json=texts), {"sub1": value}).body

    pairs = parse_qsl(form.decode(), keep_blank_values=True, strict_parsing=True)
    assert pairs == [("a", value), ("b", "x")]
    assert json.loads(body) == ({"a": value} if value else {}) | {"b": "x"}


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_success(status):
    assert judged(Answer(status)) == Delivered()
    assert judged(Answer(status, failure=Failure.BROKEN_ANSWER)) == Delivered()


@pytest.mark.parametrize("status", [100, 199, 300, 302, 400, 404, 429, 500, 503])
def test_anything_else_is_tried_again(status):
    verdict = judged(Answer(status))

    assert verdict == Retry(Failure.BAD_STATUS, timedelta(seconds=5))


def test_no_answer_is_tried_again():
    verdict = judged(Answer(None, failure=Failure.FORBIDDEN_ADDRESS))

    assert verdict == Retry(Failure.FORBIDDEN_ADDRESS, timedelta(seconds=5))


def test_a_success_pattern_is_looked_for_in_the_first_characters():
    postback = a_postback(success=r'"code":\s*0\b')

    assert judged(Answer(200, b'{"code": 0}'), postback=postback) == Delivered()
    for body in (b'{"code": 40}', b"", b"x" * MAX_SEARCHED + b'"code":0', b"\xff"):
        verdict = judged(Answer(200, body), postback=postback)
        assert verdict.failure is Failure.NO_SUCCESS_PATTERN


def test_gone_pauses_the_lane_however_often_it_was_tried():
    for attempts in (1, 12, 40):
        verdict = judged(Answer(410), attempts=attempts)
        assert verdict == Hold(HeldReason.PAUSED_LANE, Failure.GONE)


def test_the_schedule_is_the_published_one_within_a_fifth():
    for attempts, delay in enumerate(RETRY_DELAYS, 1):
        soonest = judged(Answer(500), attempts=attempts, chance=0.0).delay
        latest = judged(Answer(500), attempts=attempts, chance=1.0).delay
        assert (soonest, latest) == (delay * 0.8, delay * 1.2)
    assert len(RETRY_DELAYS) == 11
    assert RETRY_DELAYS[-1] == timedelta(hours=24)


def test_the_twelfth_failure_is_the_last():
    verdict = judged(Answer(500), attempts=12)

    assert verdict == Dead(DeadReason.ATTEMPTS_EXHAUSTED, Failure.BAD_STATUS)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 120 ", 120),
        ("0", 5),
        ("3", 5),
        ("36000", 36000),
        ("36001", 36000),
        ("999999999", 36000),
        ("9" * 400, 5),
        ("-120", 5),
        ("1.5e3", 5),
        ("120s", 5),
        ("", 5),
        ("soon", 5),
        ("\u0661\u0662\u0660", 5),
        ("Sun, 22 Nov 2026 11:10:00 GMT", 599.876544),
        ("Sun, 22 Nov 2026 11:10:00 -0000", 599.876544),
        ("Sun, 22 Nov 2020 11:10:00 GMT", 5),
        ("Sun, 22 Nov 9999 11:10:00 GMT", 36000),
        ("Sun, 99 Nov 2026 11:10:00 GMT", 5),
        ("Sun, 22 Nov 2026 99:99:99 GMT", 5),
        ("Sun, 22 Nov 2026 11:10:00 +9999", 5),
    ],
)
def test_retry_after_is_honoured_within_reason(header, seconds):
    verdict = judged(Answer(503, retry_after=header))

    assert verdict.delay == timedelta(seconds=seconds)


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 0), (2, 0), (3, 60)])
def test_what_has_been_waited_already_is_part_of_the_delay(attempts, seconds):
    lease = timedelta(seconds=60)
    verdict = judge_failure(Failure.WORKER_DIED, attempts, 0.5, waited=lease)
    assert verdict.delay == timedelta(seconds=seconds)


@given(st.text())
def test_no_retry_after_breaks_the_schedule(header):
    delay = judged(Answer(503, retry_after=header)).delay

    assert timedelta(seconds=5) <= delay <= timedelta(hours=10)


def test_retry_after_never_shortens_the_schedule():
    verdict = judged(Answer(503, retry_after="60"), attempts=9)

    assert verdict.delay == RETRY_DELAYS[8]


def test_every_reason_is_explained():
    assert EXPLANATIONS.keys() == {*HeldReason, *DeadReason, *Failure}
    assert all(sentence and sentence[0].islower() for sentence in EXPLANATIONS.values())


def test_the_moment_of_a_change_is_told_in_utc_whatever_zone_it_came_in():
    paris = datetime(2026, 11, 22, 13, tzinfo=timezone(timedelta(hours=1)))
    values = macro_values(a_change(), a_conversion(converted_at=paris), None, "dl_1")

    assert values["converted_at"] == "2026-11-22T12:00:00.000+00:00"
