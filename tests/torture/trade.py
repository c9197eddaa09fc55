"""
What is traded in the property machine's world: a catalog as plain data.

The product reads it as YAML; the model reads it here, and knows nothing of the
product's own reading of it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

TOLD = (
    "goal", "status", "payout", "amount", "transaction_id", "click_id", "change_id",
)  # fmt: skip
"""What every partner is told."""

RATES = {"USD": Decimal(1), "EUR": Decimal("1.10")}
"""What one unit is worth in the offers' currency, which is USD."""

ELSEWHERE = "https://elsewhere.example/?cid={click_id}"
"""Where visitors of a link go that leads nowhere; it keeps the id of a click."""


@dataclass(frozen=True)
class Goal:
    """Payout and revenue as the file spells them: `2.50`, or `8%`."""

    payout: str
    revenue: str
    once_per: str = "click"
    scope: str = "advertiser"
    status: str = "approved"
    on_repeat: str = "status"
    is_default: bool = False


@dataclass(frozen=True)
class Offer:
    advertiser: str
    window: timedelta
    goals: Mapping[str, Goal]
    most: Decimal | None = None
    is_paused: bool = False

    @property
    def default_goal(self):
        only = list(self.goals) if len(self.goals) == 1 else []
        return (only + [k for k, goal in self.goals.items() if goal.is_default])[:1]


@dataclass(frozen=True)
class Advertiser:
    """`words` and so on translate our words to its own."""

    token: str
    words: Mapping[str, str] = field(default_factory=dict)
    goals: Mapping[str, str] = field(default_factory=dict)
    statuses: Mapping[str, str] = field(default_factory=dict)
    networks: tuple[str, ...] = ()
    reopen: bool = False


@dataclass(frozen=True)
class Wish:
    """A postback that a partner wants."""

    id: str
    server: str
    needs_click: bool = False
    goals: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    changes: bool = False


@dataclass(frozen=True)
class Partner:
    """`own` is its own payout, by offer and goal."""

    offers: tuple[str, ...]
    wishes: tuple[Wish, ...] = ()
    own: Mapping[tuple[str, str], str] = field(default_factory=dict)
    is_paused: bool = False


@dataclass(frozen=True)
class Book:
    """A catalog; `removed` are partners that the file no longer names."""

    advertisers: Mapping[str, Advertiser]
    offers: Mapping[str, Offer]
    partners: Mapping[str, Partner]
    removed: frozenset[str] = frozenset()

    def with_goal(self, offer, goal, **changed):
        goals = self.offers[offer].goals
        changed_goals = {**goals, goal: replace(goals[goal], **changed)}
        return self.with_offer(offer, goals=changed_goals)

    def with_offer(self, key, **changed):
        offer = replace(self.offers[key], **changed)
        return replace(self, offers={**self.offers, key: offer})

    def with_partner(self, key, **changed):
        partner = replace(self.partners[key], **changed)
        return replace(self, partners={**self.partners, key: partner})

    def without_partner(self, key):
        return replace(self, removed=self.removed | {key})

    def as_text(self):
        """JSON is YAML."""
        named = [key for key in self.partners if key not in self.removed]
        return json.dumps(
            {
                "version": "1",
                "currency": "USD",
                "timezone": "UTC",
                "fallback_url": ELSEWHERE,
                "rates": {"EUR": str(RATES["EUR"])},
                "advertisers": _each(self.advertisers, _advertiser),
                "offers": _each(self.offers, _offer),
                "partners": {key: _partner(key, self.partners[key]) for key in named},
            }
        )


def _each(entries, spell):
    return {key: spell(key, entry) for key, entry in entries.items()}


def _told(**entries):
    """Without what is not said."""
    return {key: value for key, value in entries.items() if value}


def _advertiser(key, advertiser):
    return _told(
        name=key,
        auth=_told(token=advertiser.token, allow_ips=list(advertiser.networks)),
        reopen="true" if advertiser.reopen else "",
        postback=_told(
            params={ours: [theirs] for ours, theirs in advertiser.words.items()},
            goals={theirs: ours for ours, theirs in advertiser.goals.items()},
            statuses={ours: [theirs] for ours, theirs in advertiser.statuses.items()},
        ),
    )


def _offer(key, offer):
    return _told(
        name=key,
        advertiser=offer.advertiser,
        url=f"https://shop.example/{key}?cid={{click_id}}&from={{partner}}&s={{sub1}}",
        window=f"{offer.window // timedelta(minutes=1)}m",
        limits={"amount": str(offer.most)} if offer.most else None,
        paused="true" if offer.is_paused else "",
        goals=_each(offer.goals, _goal),
    )


def _goal(_, goal):
    return _told(
        payout=goal.payout,
        revenue=goal.revenue,
        once_per=goal.once_per,
        scope=goal.scope if goal.once_per == "transaction" else "",
        status=goal.status,
        on_repeat=goal.on_repeat,
        default="true" if goal.is_default else "",
    )


def _partner(key, partner):
    return _told(
        name=key,
        offers={
            offer: _told(
                goals={
                    goal: {"payout": payout}
                    for (its_offer, goal), payout in partner.own.items()
                    if its_offer == offer
                }
            )
            for offer in partner.offers
        },
        paused="true" if partner.is_paused else "",
        postbacks=[_wish(wish) for wish in partner.wishes],
    )


def _wish(wish):
    query = "&".join(f"{name}={{{name}}}" for name in TOLD)
    label = "&cid={sub1}" if wish.needs_click else ""
    when = _told(
        goals=list(wish.goals),
        statuses=list(wish.statuses),
        changes="true" if wish.changes else "",
    )
    url = f"${{{wish.server.upper()}}}/{wish.id}?{query}{label}"
    return _told(id=wish.id, url=url, when=when)


BASE = Book(
    advertisers={
        "acme": Advertiser(token="acme-token"),
        "globex": Advertiser(
            token="globex-token",
            networks=("127.0.0.0/8",),
            reopen=True,
            words={
                "click_id": "cid",
                "transaction_id": "order",
                "amount": "total",
                "goal": "event",
                "status": "st",
                "token": "secret",
            },
            goals={"lead": "e1", "sale": "e2"},
            statuses={
                "approved": "1",
                "pending": "2",
                "rejected": "3",
                "ignored": "test",
            },
        ),
    },
    offers={
        "shoes": Offer(
            "acme",
            timedelta(days=30),
            most=Decimal(5000),
            goals={
                "lead": Goal("2.50", "4.00", is_default=True),
                "sale": Goal("8%", "12%", once_per="transaction"),
                "upsell": Goal("10%", "20%", on_repeat="add"),
                "install": Goal("1", "2", status="pending", on_repeat="update"),
                "share": Goal("3%", "7%", status="pending", on_repeat="update"),
                "trial": Goal("1", "2", once_per="transaction", scope="click"),
                "refill": Goal("5%", "10%", once_per="postback"),
            },
        ),
        "game": Offer(
            "globex",
            timedelta(hours=1),
            goals={
                "lead": Goal("1", "2"),
                "sale": Goal("50%", "80%", once_per="transaction", status="pending"),
            },
        ),
    },
    partners={
        "bestdeals": Partner(
            ("shoes", "game"),
            wishes=(
                Wish("all", "first", needs_click=True, changes=True),
                Wish("approved", "second", statuses=("approved",)),
            ),
        ),
        "cheap": Partner(
            ("shoes",),
            wishes=(
                Wish(
                    "sales",
                    "second",
                    needs_click=True,
                    goals=("sale", "refill"),
                    statuses=("approved", "rejected"),
                ),
            ),
            own={("shoes", "sale"): "10%", ("shoes", "lead"): "0.335"},
        ),
        "quiet": Partner(("shoes",)),
    },
)

EDITS = {
    "as it was": BASE,
    "a higher payout": BASE.with_goal("shoes", "sale", payout="9.5%").with_goal(
        "shoes", "lead", payout="3.10"
    ),
    "an offer paused": BASE.with_offer("shoes", is_paused=True),
    "a partner paused": BASE.with_partner("bestdeals", is_paused=True),
    "a postback removed": BASE.with_partner(
        "bestdeals", wishes=BASE.partners["bestdeals"].wishes[1:]
    ),
    "a partner removed": BASE.without_partner("cheap"),
}
"""What an operator makes of the file."""
