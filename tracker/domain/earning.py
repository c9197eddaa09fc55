"""What goals earn, in words: of an offer, of a partner's own, and of a link."""

from collections.abc import Iterator
from dataclasses import dataclass

from tracker.domain.catalog import Catalog
from tracker.domain.money import Rate
from tracker.domain.offer import Goal, Offer
from tracker.domain.partner import GoalTerms, Partner


@dataclass(frozen=True, slots=True)
class Terms:
    """What a goal earns, in words."""

    goal: str
    payout: str
    revenue: str
    counts: str = ""
    offer: str = ""


def terms_of_offer(offer: Offer) -> list[Terms]:
    """Of each of its goals, those that are retired included."""
    return [
        Terms(
            goal.key,
            spell_rate(goal.payout, offer.currency),
            spell_rate(goal.revenue, offer.currency),
            _counting(goal),
        )
        for goal in offer.goals.values()
    ]


def terms_of_partner(partner: Partner, catalog: Catalog) -> Iterator[Terms]:
    """What was agreed with it alone."""
    for key, goals in partner.offers.items():
        currency = catalog.offers[key].currency if key in catalog.offers else ""
        for goal, own in goals.items():
            if own != GoalTerms():
                payout = _own(own.payout, currency)
                revenue = _own(own.revenue, currency)
                yield Terms(goal, payout, revenue, offer=key)


def terms_of_link(
    catalog: Catalog, partner: Partner, offer: Offer, *, is_staff: bool
) -> Iterator[Terms]:
    """What it earns that partner; what it earns us is for us to know."""
    for goal in offer.goals.values():
        payout, revenue = catalog.terms(partner, offer, goal)
        said = spell_rate(revenue, offer.currency) if is_staff else ""
        if not goal.is_retired:
            yield Terms(goal.key, spell_rate(payout, offer.currency), said)


def spell_rate(rate: Rate, currency: str) -> str:
    """`2.50 USD`, `8 % of the amount`."""
    if rate.is_sent:
        return "what the advertiser states"
    if rate.is_percent:
        return f"{rate.value:f} % of the {rate.basis}"
    return f"{rate.value:f} {currency}"


def _own(rate: Rate | None, currency: str) -> str:
    return spell_rate(rate, currency) if rate else "the offer's"


def _counting(goal: Goal) -> str:
    """How often, and what it is at first."""
    counts = f"once per {goal.once_per}"
    if goal.status != "approved":
        counts += f", first {goal.status}"
    return f"{counts}, retired" if goal.is_retired else counts
