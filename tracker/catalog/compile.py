"""From a document that is believed, and what came before it, to domain values."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TypeVar

from tracker.catalog.check import CheckedCatalog
from tracker.catalog.document import (
    AdvertiserSection,
    AuthSection,
    Document,
    GoalSection,
    LimitsSection,
    OfferSection,
    OfferTermsSection,
    PartnerPostbackSection,
    PartnerSection,
    ReplySection,
    SignatureSection,
    WhenSection,
)
from tracker.catalog.environment import choose_secrets, secret_names
from tracker.domain.catalog import (
    Advertiser,
    Auth,
    Catalog,
    Goal,
    GoalTerms,
    Kind,
    Limits,
    Numbers,
    Offer,
    Partner,
    PartnerPostback,
    Reply,
    Signature,
    When,
)
from tracker.domain.errors import CatalogError, NotFoundError

UNNUMBERED = 0
"""Stands for a number that is not given yet; none that is given is 0."""

DEFAULT_WINDOW = timedelta(days=30)

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
    advertisers = {k: _advertiser(k, it) for k, it in document.advertisers.items()}
    offers = {key: _offer(key, it, document) for key, it in document.offers.items()}
    partners = {key: _partner(key, it) for key, it in document.partners.items()}
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
    return replace(advertiser, goals={**kept, **advertiser.goals})


def _rates(
    document: Document, former: Catalog, gone: Iterable[Offer]
) -> dict[str, Decimal]:
    """The file's, and the last known ones of currencies that only gone offers use."""
    rates = dict(document.rates)
    for currency in {offer.currency for offer in gone} - {document.currency}:
        with suppress(NotFoundError):
            rates.setdefault(currency, former.rate(currency, document.currency))
    return rates


def _advertiser(key: str, section: AdvertiserSection) -> Advertiser:
    postback = section.postback
    words = postback.statuses.items()
    return Advertiser(
        key=key,
        name=section.name or key,
        auth=_auth(section.auth),
        names=dict(postback.params),
        goals=dict(postback.goals),
        statuses={word: status for status, listed in words for word in listed},
        reply=_reply(postback.reply),
        reopen=section.reopen,
    )


def _auth(section: AuthSection) -> Auth:
    return Auth(
        tokens=section.token,
        networks=section.allow_ips,
        none=section.none,
        hmac=section.hmac,
        signature=_signature(section.signature),
    )


def _signature(section: SignatureSection | None) -> Signature | None:
    if section is None:
        return None
    return Signature(section.param, section.hash, section.text, section.key)


def _reply(section: ReplySection) -> Reply:
    return Reply(section.body, section.content_type, section.always_200)


def _offer(key: str, section: OfferSection, document: Document) -> Offer:
    return Offer(
        key=key,
        number=UNNUMBERED,
        name=section.name or key,
        advertiser=section.advertiser,
        url=section.url,
        window=section.window or DEFAULT_WINDOW,
        currency=section.currency or document.currency,
        timezone=section.timezone or document.timezone,
        goals={name: _goal(name, goal) for name, goal in section.goals.items()},
        default_goal=_default_goal(section.goals),
        deeplinks=frozenset(section.deeplinks),
        fallback_url=section.fallback_url,
        limits=_limits(section.limits),
        is_paused=section.paused,
    )


def _goal(key: str, section: GoalSection) -> Goal:
    return Goal(
        key=key,
        payout=section.payout,
        revenue=section.revenue,
        once_per=section.once_per,
        scope=section.scope,
        status=section.status,
        on_repeat=section.on_repeat,
    )


def _default_goal(goals: Mapping[str, GoalSection]) -> str | None:
    if len(goals) == 1:
        return next(iter(goals))
    return next((key for key, goal in goals.items() if goal.default), None)


def _limits(section: LimitsSection) -> Limits:
    return Limits(section.amount, section.payout, section.min_click_age or timedelta())


def _partner(key: str, section: PartnerSection) -> Partner:
    return Partner(
        key=key,
        number=UNNUMBERED,
        name=section.name or key,
        offers=_promoted(section.offers),
        all_offers=section.offers == "all",
        postbacks=tuple(_postback(postback) for postback in section.postbacks),
        reveal=frozenset(section.reveal),
        is_paused=section.paused,
    )


def _promoted(
    offers: Iterable[str] | Mapping[str, OfferTermsSection],
) -> dict[str, dict[str, GoalTerms]]:
    if isinstance(offers, Mapping):
        return {key: _terms(section) for key, section in offers.items()}
    return {} if offers == "all" else {key: {} for key in offers}


def _terms(section: OfferTermsSection) -> dict[str, GoalTerms]:
    return {
        goal: GoalTerms(terms.payout, terms.revenue)
        for goal, terms in section.goals.items()
    }


def _postback(section: PartnerPostbackSection) -> PartnerPostback:
    return PartnerPostback(
        id=section.id,
        url=section.url,
        method=section.method or ("POST" if section.has_body else "GET"),
        form=section.form,
        json=section.json_,
        headers=section.headers,
        when=_when(section.when),
        success=section.success,
        secret=section.secret,
    )


def _when(section: WhenSection) -> When:
    return When(frozenset(section.goals), frozenset(section.statuses), section.changes)
