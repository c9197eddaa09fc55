"""One goal of one offer, and what becomes of the actions that are reported for it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tracker.catalog.sums import parse_payout, parse_rate
from tracker.domain.advertiser import Advertiser, Auth
from tracker.domain.catalog import Catalog
from tracker.domain.click_id import ClickClass, ClickIdMint, SigningKeys
from tracker.domain.conversion import Ledger
from tracker.domain.errors import QuarantinedError
from tracker.domain.identity import new_postback_id
from tracker.domain.judgement import Rules, judge
from tracker.domain.offer import Goal, Offer
from tracker.domain.partner import Partner
from tracker.domain.postback import Postback, TokenHasher

KEYS = SigningKeys(0, {0: b"0" * 32})
MINT = ClickIdMint(KEYS)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Account:
    """Hears postbacks a minute apart, all of one batch."""

    def __init__(self, payout="10%", revenue="20%", *, advertiser=None, **goal):
        sale = Goal("sale", parse_payout(payout), parse_rate(revenue), **goal)
        catalog = Catalog(
            version=1,
            currency="USD",
            timezone="UTC",
            advertisers={
                "acme": Advertiser("acme", "Acme", Auth(none=True), **advertiser or {})
            },
            offers={"shoes": _offer(sale)},
            partners={"best": Partner("best", 1, "Best", all_offers=True)},
            rates={"EUR": Decimal(2)},
        )
        self.rules = Rules(catalog, MINT, TokenHasher(KEYS))
        self.ledger = Ledger({}, [])
        self.click_id = self.another_click()
        self.minutes = 0

    def exchanges(self, **rates):
        """What a unit of each currency is worth from now on."""
        known = {name: Decimal(rate) for name, rate in rates.items()}
        self.rules = self.rules.but(catalog=replace(self.rules.catalog, rates=known))

    def another_click(self):
        return MINT.mint(
            now=NOW,
            shard=0,
            click_class=ClickClass.VISIT,
            partner_number=1,
            offer_number=1,
        )

    def hears(self, *, minutes=None, route=None, **said):
        """The verdict, or the reason where there is one; None is not said."""
        self.minutes += 1
        at = NOW + timedelta(minutes=self.minutes if minutes is None else minutes)
        said = {"click_id": self.click_id, **said}
        pairs = tuple((name, value) for name, value in said.items() if value)
        route = route or (None if said["click_id"] else "acme")
        postback = Postback(new_postback_id(at), at, "GET", "/", "", route, pairs)
        try:
            outcome = self.ledger.decide(judge(postback, self.rules), self.rules)
        except QuarantinedError as error:
            return str(error.reason)
        return str(outcome.reason or outcome.verdict)

    @property
    def conversion(self):
        """The only one."""
        (one,) = [*self.ledger.created, *self.ledger.updated]
        return one

    @property
    def owed(self):
        """Status, amount, payout and revenue of the only conversion."""
        one, money = self.conversion, self.conversion.money
        sums = (money.amount, money.payout, money.revenue)
        return str(one.status), *(None if one is None else float(one) for one in sums)


def _offer(goal):
    return Offer(
        key="shoes",
        number=1,
        name="Shoes",
        advertiser="acme",
        url="https://shop.example/?cid={click_id}",
        window=timedelta(days=30),
        currency="USD",
        timezone="UTC",
        goals={goal.key: goal},
        default_goal=goal.key,
    )
