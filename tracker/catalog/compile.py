"""From a document that is believed, and what came before it, to domain values."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

from tracker.catalog.advertisers import compile_advertiser
from tracker.catalog.check import CheckedCatalog
from tracker.catalog.document import Document
from tracker.catalog.environment import choose_secrets, secret_names
from tracker.catalog.offers import compile_offer
from tracker.catalog.partners import compile_partner
from tracker.catalog.postbacks import compile_postbacks
from tracker.domain.advertiser import Advertiser
from tracker.domain.catalog import Catalog, Kind, Numbers
from tracker.domain.errors import CatalogError, NotFoundError
from tracker.domain.offer import Goal, Offer
from tracker.domain.partner import Partner

Entry = TypeVar("Entry", Advertiser, Offer, Partner, Goal)

_NOTHING = Catalog(0, "", "", advertisers={}, offers={}, partners={})


def compile_catalog(
    checked: CheckedCatalog,
    secrets: Mapping[str, str],
    *,
    version: int,
    numbers: Numbers,
    previous: Catalog | None = None,
) -> Catalog:
    """
    The catalog that a checked file stands for.

    What `previous` had and the file has no longer is kept, retired, with the terms
    it had. Raises CatalogError where a number or a secret is missing.
    """
    catalog = compile_unnumbered(checked.document, previous)
    names = secret_names(catalog)
    return replace(
        catalog,
        version=version,
        offers={k: number_offer(e, numbers) for k, e in catalog.offers.items()},
        partners={k: number_partner(e, numbers) for k, e in catalog.partners.items()},
        secrets=choose_secrets(secrets, names),
    )


def compile_unnumbered(document: Document, previous: Catalog | None) -> Catalog:
    """Version 0 of a catalog: without numbers and secrets, with what is retired."""
    former = previous or _NOTHING
    advertisers = {
        k: compile_advertiser(k, it) for k, it in document.advertisers.items()
    }
    offers = {
        key: compile_offer(
            key, it, currency=document.currency, timezone=document.timezone
        )
        for key, it in document.offers.items()
    }
    partners = {key: compile_partner(key, it) for key, it in document.partners.items()}
    offers = {k: _with_goals(it, former.offers.get(k)) for k, it in offers.items()}
    gone = {key: it for key, it in former.offers.items() if key not in offers}
    kept = {k: _with_words(a, former, gone.values()) for k, a in advertisers.items()}
    return Catalog(
        version=0,
        currency=document.currency,
        timezone=document.timezone,
        advertisers=_with_retired(kept, former.advertisers),
        offers=_with_retired(offers, former.offers),
        partners=_with_retired(partners, former.partners),
        rates=_rates(document, former, gone.values()),
        fallback_url=document.fallback_url,
        postbacks=compile_postbacks(document.postbacks),
    )


def keys_to_number(catalog: Catalog) -> list[tuple[Kind, str]]:
    """Everything that needs a number, what is retired included."""
    partners: list[tuple[Kind, str]] = [("partner", key) for key in catalog.partners]
    return [*partners, *(("offer", key) for key in catalog.offers)]


def number_offer(offer: Offer, numbers: Numbers) -> Offer:
    """The offer with its number; raises CatalogError if it has none."""
    return replace(offer, number=_number("offer", offer.key, numbers))


def number_partner(partner: Partner, numbers: Numbers) -> Partner:
    """The partner with its number; raises CatalogError if it has none."""
    return replace(partner, number=_number("partner", partner.key, numbers))


def _number(kind: Kind, key: str, numbers: Numbers) -> int:
    try:
        return numbers[kind, key]
    except KeyError:
        raise CatalogError(f"the {kind} {key} has no number") from None


def _with_retired(
    current: Mapping[str, Entry], former: Mapping[str, Entry]
) -> dict[str, Entry]:
    gone = {
        key: replace(entry, is_retired=True)
        for key, entry in former.items()
        if key not in current
    }
    return {**current, **gone}


def _with_goals(offer: Offer, former: Offer | None) -> Offer:
    """The offer, with the goals it had: what they counted is still to be settled."""
    before = former.goals if former else {}
    return replace(offer, goals=_with_retired(offer.goals, before))


def _with_words(
    advertiser: Advertiser, former: Catalog, gone: Iterable[Offer]
) -> Advertiser:
    """
    The advertiser, with the words it used for the goals of offers now gone.

    The file may not name those goals any more, but the advertiser still does.
    """
    goals = {g for it in gone if it.advertiser == advertiser.key for g in it.goals}
    if not goals or advertiser.key not in former.advertisers:
        return advertiser
    before = former.advertisers[advertiser.key].goals
    kept = {word: goal for word, goal in before.items() if goal in goals}
    speaking = replace(advertiser, goals={**kept, **advertiser.goals})
    variants = [
        replace(one, speaker=_with_words(one.speaker, former, gone))
        for one in advertiser.variants
    ]
    return replace(speaking, variants=tuple(variants))


def _rates(
    document: Document, former: Catalog, gone: Iterable[Offer]
) -> dict[str, Decimal]:
    """The file's, and the last known ones of currencies that only gone offers use."""
    rates = dict(document.rates)
    for currency in {offer.currency for offer in gone} - {document.currency}:
        with suppress(NotFoundError):
            rates.setdefault(currency, former.rate(currency, document.currency))
    return rates
