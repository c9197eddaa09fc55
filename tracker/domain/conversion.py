"""A conversion, and the changes that made it what it is."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from tracker.domain.catalog import Status
from tracker.domain.click_id import ClickClass, ClickId
from tracker.domain.identity import ChangeId, ConversionId, PostbackId


@dataclass(frozen=True, slots=True)
class Money:
    """
    What an action is worth, in the offer's currency.

    `amount` is what the customer paid, None if nobody said; `sent_amount` is the
    same as the advertiser sent it, `rate` what one unit of its currency is worth.
    """

    currency: str
    payout: Decimal
    revenue: Decimal
    amount: Decimal | None = None
    sent_amount: Decimal | None = None
    sent_currency: str | None = None
    rate: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class Conversion:
    """
    An action we accepted and attributed, as it stands.

    `changed_at` is the arrival of what changed it last, and `changes` how many
    changes it has had.
    """

    id: ConversionId
    advertiser: str
    offer: str
    partner: str
    goal: str
    click_id: ClickId
    click_class: ClickClass
    clicked_at: datetime
    transaction_id: str | None
    status: Status
    money: Money
    converted_at: datetime
    changed_at: datetime
    changes: int
    catalog_version: int


@dataclass(frozen=True, slots=True)
class Change:
    """
    One thing that happened to a conversion, made by one postback or one operator.

    `number` counts from 1. `fingerprint` is a hash of what the postback said.
    """

    id: ChangeId
    conversion_id: ConversionId
    number: int
    kind: Literal["created", "status", "amount"]
    old_status: Status | None
    status: Status
    money: Money
    changed_at: datetime
    catalog_version: int
    postback_id: PostbackId | None = None
    fingerprint: bytes | None = None
    operator: str | None = None
    note: str | None = None
