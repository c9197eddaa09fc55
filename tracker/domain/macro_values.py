"""What the macros of a postback stand for, when a conversion changes."""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from tracker.domain.catalog import Catalog
from tracker.domain.click import MASK, Click
from tracker.domain.conversion import Change, Conversion
from tracker.domain.identity import DeliveryId
from tracker.domain.macros import CLICK_PARAMETER, SENT_PARAMETER
from tracker.domain.money import to_minor_unit
from tracker.domain.request import spell_moment
from tracker.domain.value import Value
from tracker.domain.vocabulary import Pairs


class Occasion(Value, frozen=True):
    """
    What there is to tell: a change, and all that is known of it.

    `conversion` is as the change left it, `click` None where its record has not come
    yet, and `sent` what the postback said that caused it, its secrets masked.
    """

    change: Change
    conversion: Conversion
    click: Click | None
    catalog: Catalog
    sent: Pairs = ()


def macro_values(
    change: Change, conversion: Conversion, click: Click | None, delivery: DeliveryId
) -> dict[str, str]:
    """
    A value for every ordinary macro that has one; a macro without one is empty.

    Nothing here can be refused by Postgres: what came from outside was cleaned when
    it came.
    """
    money = change.money
    values = {
        "delivery_id": delivery,
        "click_id": conversion.click_id,
        "partner": conversion.partner,
        "offer": conversion.offer,
        "advertiser": conversion.advertiser,
        "goal": conversion.goal,
        "conversion_id": conversion.id,
        "change_id": change.id,
        "status": change.status.value,
        "clicked_at": spell_moment(conversion.clicked_at),
        "converted_at": spell_moment(conversion.converted_at),
        "changed_at": spell_moment(change.changed_at),
        "currency": money.currency,
        "payout": _sum(money.payout, money.currency),
        "revenue": _sum(money.revenue, money.currency),
    }
    if conversion.transaction_id:
        values["transaction_id"] = conversion.transaction_id
    if money.amount is not None:
        values["amount"] = _sum(money.amount, money.currency)
    if click:
        values |= {name: text for name, text in click.labels().items() if text}
    return values


def asked_values(occasion: Occasion, asked: Iterable[str]) -> dict[str, str]:
    """Likewise for macros that are kept only where a template asks for them."""
    values = {name: _asked_value(occasion, name) for name in asked}
    return {name: value for name, value in values.items() if value}


def _asked_value(occasion: Occasion, name: str) -> str:
    if name.startswith(CLICK_PARAMETER):
        parameters = occasion.click.params if occasion.click else {}
        return parameters.get(name.removeprefix(CLICK_PARAMETER), "")
    if name.startswith(SENT_PARAMETER):
        return sent_value(occasion.sent, name.removeprefix(SENT_PARAMETER))
    return _ASKED[name](occasion) if name in _ASKED else ""


def sent_value(parameters: Pairs, name: str) -> str:
    """Of a repeated parameter the first value; a secret is nobody's to know."""
    wanted = name.lower()
    for sent, value in parameters:
        if sent.lower() == wanted and value:
            return "" if value == MASK else value
    return ""


def _sum(value: Decimal, currency: str) -> str:
    return f"{to_minor_unit(value, currency):f}"


def _sent_amount(occasion: Occasion) -> str:
    money = occasion.change.money
    if money.sent_amount is None:
        return ""
    return _sum(money.sent_amount, money.sent_currency or money.currency)


def _amount_change(occasion: Occasion) -> str:
    change = occasion.change
    after, before = change.money.amount, change.old_money and change.old_money.amount
    if after is None:
        return ""
    return _sum(after - (before or 0), change.money.currency)


def _payout_change(occasion: Occasion) -> str:
    change = occasion.change
    before = change.old_money.payout if change.old_money else 0
    return _sum(change.money.payout - before, change.money.currency)


def _revenue_change(occasion: Occasion) -> str:
    change = occasion.change
    before = change.old_money.revenue if change.old_money else 0
    return _sum(change.money.revenue - before, change.money.currency)


def _partner_name(occasion: Occasion) -> str:
    key = occasion.conversion.partner
    found = occasion.catalog.partners.get(key)
    return found.name if found else key


def _offer_name(occasion: Occasion) -> str:
    key = occasion.conversion.offer
    found = occasion.catalog.offers.get(key)
    return found.name if found else key


def _advertiser_name(occasion: Occasion) -> str:
    key = occasion.conversion.advertiser
    found = occasion.catalog.advertisers.get(key)
    return found.name if found else key


def _of_click(name: str) -> Callable[[Occasion], str]:
    return lambda occasion: getattr(occasion.click, name, "")


_ASKED: Mapping[str, Callable[[Occasion], str]] = {
    "ip": _of_click("address"),
    "user_agent": _of_click("user_agent"),
    "referrer": _of_click("referrer"),
    "language": _of_click("language"),
    "partner_name": _partner_name,
    "offer_name": _offer_name,
    "advertiser_name": _advertiser_name,
    "change": lambda occasion: occasion.change.kind,
    "old_status": lambda occasion: occasion.change.old_status or "",
    "amount_change": _amount_change,
    "payout_change": _payout_change,
    "revenue_change": _revenue_change,
    "sent_amount": _sent_amount,
    "sent_currency": lambda occasion: occasion.change.money.sent_currency or "",
}
