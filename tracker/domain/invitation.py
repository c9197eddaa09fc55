"""
What an advertiser is asked to call: our URL for its postbacks, in its own words.

Written from the same names that its postbacks are read by, so that what is handed out
is what is understood.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from tracker.domain.advertiser import Advertiser
from tracker.domain.catalog import Catalog
from tracker.domain.macros import expand_text, parse_template
from tracker.domain.offer import Goal, Offer, Status
from tracker.domain.postback import MASK
from tracker.domain.signature import HEADER
from tracker.domain.vocabulary import CANONICAL, Meaning

_ABOUT: Mapping[Meaning, str] = {
    "click_id": "our click id, as it came to you with the visitor",
    "transaction_id": "your id for the order or action",
    "goal": "what the visitor did",
    "status": "where it stands",
    "amount": "what the customer paid",
    "currency": "the currency of the sums",
    "revenue": "what you owe us for it",
    "payout": "what our partner is to get",
    "offer": "our key for the offer",
    "token": "the secret that proves you",
}
"""In the words of whoever reads it, who is the advertiser."""


@dataclass(frozen=True, slots=True)
class AskedParameter:
    """
    A parameter of the URL: its name, other names that do as well, what it is.

    `placeholder` is what the sender's own macro takes the place of; `because` says
    why it cannot be left out, and is "" where it can.
    """

    name: str
    others: tuple[str, ...]
    meaning: Meaning
    about: str
    placeholder: str
    because: str = ""


@dataclass(frozen=True, slots=True)
class Invitation:
    """
    Everything that an advertiser needs in order to report to us.

    `goals` and `statuses` are its words for each of ours; `proofs` are sentences.
    `landings` are the offers' URLs, which show where our click id comes in.
    """

    advertiser: str
    name: str
    url: str
    parameters: Sequence[AskedParameter]
    goals: Mapping[str, Sequence[str]]
    statuses: Mapping[str, Sequence[str]]
    proofs: Sequence[str]
    addresses: Sequence[str]
    reply: str
    landings: Mapping[str, str]


def invite(
    advertiser: Advertiser, catalog: Catalog, base_url: str, *, shows_token: bool
) -> Invitation:
    """The invitation of an advertiser; its token stands in it only on request."""
    offers = [one for one in catalog.offers.values() if _is_open(one, advertiser)]
    asked = list(_parameters(advertiser, catalog, offers, shows_token=shows_token))
    return Invitation(
        advertiser=advertiser.key,
        name=advertiser.name,
        url=_url(base_url, advertiser.key, asked),
        parameters=asked,
        goals={
            goal.key: _goal_words(advertiser, goal.key)
            for offer in offers
            for goal in _goals(offer)
        },
        statuses=_status_words(advertiser),
        proofs=list(_proofs(advertiser)),
        addresses=advertiser.auth.networks,
        reply=_reply(advertiser),
        landings={offer.key: offer.url for offer in offers},
    )


def _is_open(offer: Offer, advertiser: Advertiser) -> bool:
    return offer.advertiser == advertiser.key and not offer.is_retired


def _url(base_url: str, key: str, asked: Sequence[AskedParameter]) -> str:
    query = "&".join(f"{quote(one.name)}={one.placeholder}" for one in asked)
    return f"{base_url.rstrip('/')}/postback/{key}?{query}"


def _parameters(
    advertiser: Advertiser,
    catalog: Catalog,
    offers: Sequence[Offer],
    *,
    shows_token: bool,
) -> Iterator[AskedParameter]:
    needs = dict(_needs(advertiser, catalog, offers))
    for meaning, (name, *others) in {**CANONICAL, **advertiser.names}.items():
        if meaning not in needs and meaning not in advertiser.names:
            continue
        placeholder = f"{{your {meaning.replace('_', ' ')} macro}}"
        if meaning == "token" and advertiser.auth.tokens:
            placeholder = _token(advertiser, catalog, shows_token=shows_token)
        yield AskedParameter(
            name=name,
            others=tuple(others),
            meaning=meaning,
            about=_ABOUT[meaning],
            placeholder=placeholder,
            because=needs.get(meaning, ""),
        )


def _needs(
    advertiser: Advertiser, catalog: Catalog, offers: Sequence[Offer]
) -> Iterator[tuple[Meaning, str]]:
    """What is asked for, and why; what has no reason may be left out."""
    yield "click_id", "it says which visitor it was"
    yield "transaction_id", _reason(offers, _counts_transactions)
    if any(len(_goals(offer)) > 1 for offer in offers):
        yield "goal", _reason(offers, _is_ambiguous)
    if shares := _reason(offers, lambda offer: _pays_share(offer, catalog)):
        yield "amount", shares
    yield "status", ""
    if advertiser.auth.tokens:
        yield "token", "nothing counts without it"


def _reason(offers: Sequence[Offer], because: Callable[[Offer], str]) -> str:
    """The first of the offers' reasons."""
    return next(filter(None, map(because, offers)), "")


def _goals(offer: Offer) -> list[Goal]:
    return [goal for goal in offer.goals.values() if not goal.is_retired]


def _counts_transactions(offer: Offer) -> str:
    for goal in _goals(offer):
        if goal.once_per == "transaction":
            return f"{goal.key} of {offer.key} counts once for each"
    return ""


def _is_ambiguous(offer: Offer) -> str:
    return "" if offer.default_goal else f"{offer.key} has several, and no default"


def _pays_share(offer: Offer, catalog: Catalog) -> str:
    """Terms of partners count as well: one of them may have a share."""
    for goal in _goals(offer):
        own = [catalog.terms(one, offer, goal) for one in catalog.partners.values()]
        if any(rate.is_percent for rates in own for rate in rates):
            return f"{goal.key} of {offer.key} is a share of it"
    return ""


def _token(advertiser: Advertiser, catalog: Catalog, *, shows_token: bool) -> str:
    """The first of its tokens, by the name of its secret unless it is to be shown."""
    template = parse_template(advertiser.auth.tokens[0])
    if shows_token:
        return quote(expand_text(template, {}, catalog.secrets), safe="")
    return advertiser.auth.tokens[0] if template.secrets else MASK


def _goal_words(advertiser: Advertiser, goal: str) -> list[str]:
    """Its words for a goal, or ours where it has none."""
    return [word for word, meant in advertiser.goals.items() if meant == goal] or [goal]


def _status_words(advertiser: Advertiser) -> dict[str, list[str]]:
    words: dict[str, list[str]] = {status.value: [] for status in Status}
    for word, status in advertiser.statuses.items():
        words.setdefault(status, []).append(word)
    return {status: listed or [status] for status, listed in words.items()}


def _proofs(advertiser: Advertiser) -> Iterator[str]:
    """What else a call must have, in sentences for whoever builds it."""
    auth = advertiser.auth
    if auth.tokens:
        yield "the token may come as a header instead: Authorization: Bearer …"
    if auth.hmac:
        yield (
            f"each call is signed: header {HEADER}: t=TIME,n=NONCE,v1=HMAC-SHA256"
            " (see Proof in the README)"
        )
    if auth.signature:
        kind = "HMAC-" if auth.signature.key else ""
        yield (
            f"each call has {auth.signature.param}={kind}{auth.signature.hash.upper()}"
            f" of {auth.signature.text}, in hex"
        )
    if auth.none:
        yield "nothing has to be proven"


def _reply(advertiser: Advertiser) -> str:
    """What it hears when all went well."""
    body = advertiser.reply.body
    return '{"status": "accepted", …}' if body is None else body
