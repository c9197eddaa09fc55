"""
What an advertiser is asked to call: our URL for its postbacks, in its own words.

Written from the same names that its postbacks are read by, so that what is handed out
is what is understood.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from tracker.domain.advertiser import OTHER, Advertiser, Variant
from tracker.domain.catalog import Catalog
from tracker.domain.items import COUNTED
from tracker.domain.macros import expand_text, parse_template
from tracker.domain.money import Rate
from tracker.domain.offer import Goal, Offer, Status
from tracker.domain.postback import MASK
from tracker.domain.signature import HEADER
from tracker.domain.vocabulary import CANONICAL, PATH, Meaning, is_part

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
    "refund_id": "your id for the refund",
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

    `goals` and `statuses` are its words for each of ours; `proofs` and `spellings` are
    sentences on how to prove itself and how to write what it sends. `landings` are the
    offers' URLs, which show where our click id comes in. `variants` are the calls that
    it spells in another way, each by what tells them from the others.
    """

    advertiser: str
    name: str
    url: str
    parameters: Sequence[AskedParameter]
    goals: Mapping[str, Sequence[str]]
    statuses: Mapping[str, Sequence[str]]
    proofs: Sequence[str]
    spellings: Sequence[str]
    addresses: Sequence[str]
    reply: str
    landings: Mapping[str, str]
    variants: "Mapping[str, Invitation]" = field(default_factory=dict)


def invite(
    advertiser: Advertiser, catalog: Catalog, base_url: str, *, shows_token: bool
) -> Invitation:
    """The invitation of an advertiser; its token stands in it only on request."""
    own = _invite(advertiser, catalog, base_url, {}, shows_token=shows_token)
    variants = {
        _told_by(one): _invite(
            one.speaker, catalog, base_url, one.when, shows_token=shows_token
        )
        for one in advertiser.variants
    }
    return replace(own, variants=variants)


def _told_by(variant: Variant) -> str:
    """What tells its calls from the others."""
    said = (
        f"{name} is {'there' if OTHER in words else ' or '.join(words)}"
        for name, words in variant.when.items()
    )
    return " and ".join(said)


def _invite(
    advertiser: Advertiser,
    catalog: Catalog,
    base_url: str,
    when: Mapping[str, Sequence[str]],
    *,
    shows_token: bool,
) -> Invitation:
    offers = [one for one in catalog.offers.values() if _is_open(one, advertiser)]
    asked = list(_parameters(advertiser, catalog, offers, shows_token=shows_token))
    return Invitation(
        advertiser=advertiser.key,
        name=advertiser.name,
        url=_url(base_url, advertiser.key, asked, when),
        parameters=asked,
        goals={
            goal.key: _goal_words(advertiser, goal.key)
            for offer in offers
            for goal in _goals(offer)
        },
        statuses=_status_words(advertiser),
        proofs=list(_proofs(advertiser)),
        spellings=list(_spellings(advertiser)),
        addresses=advertiser.auth.networks,
        reply=_reply(advertiser),
        landings={offer.key: offer.url for offer in offers},
    )


def _is_open(offer: Offer, advertiser: Advertiser) -> bool:
    return offer.advertiser == advertiser.key and not offer.is_retired


def _url(
    base_url: str,
    key: str,
    asked: Sequence[AskedParameter],
    when: Mapping[str, Sequence[str]],
) -> str:
    """
    Parameters in the query, and those that are parts of the path in their place.

    What tells a variant says its first word, or 1 where any will do.
    """
    said = {one.name: one.placeholder for one in asked}
    told_by = {n: words[0].replace(OTHER, "1") for n, words in when.items()}
    said |= {name: quote(word) for name, word in told_by.items()}
    path = [f"{base_url.rstrip('/')}/postback/{key}", *_segments(said)]
    query = [(name, text) for name, text in said.items() if not is_part(name)]
    spelled = "&".join(f"{quote(name)}={text}" for name, text in query)
    return "/".join(path) + (f"?{spelled}" if spelled else "")


def _segments(said: Mapping[str, str]) -> list[str]:
    """What nobody asks for, but stands before what is asked for, is a dash."""
    parts = {
        name.removeprefix(PATH): text
        for name, text in said.items()
        if name.startswith(PATH)
    }
    numbers = {int(name): text for name, text in parts.items() if name.isdigit()}
    placed = [numbers.get(n, "-") for n in range(1, max(numbers, default=0) + 1)]
    named = [f"{name}:{text}" for name, text in parts.items() if not name.isdigit()]
    return [*placed, *named]


def _parameters(
    advertiser: Advertiser,
    catalog: Catalog,
    offers: Sequence[Offer],
    *,
    shows_token: bool,
) -> Iterator[AskedParameter]:
    needs = dict(_needs(advertiser, catalog, offers))
    for meaning, names in {**CANONICAL, **advertiser.names}.items():
        spelled = _amount_names(advertiser, meaning) or names
        if spelled and (meaning in needs or meaning in advertiser.names):
            name, *others = spelled
            yield AskedParameter(
                name=name,
                others=tuple(others),
                meaning=meaning,
                about=_ABOUT[meaning],
                placeholder=_placeholder(
                    meaning, advertiser, catalog, shows_token=shows_token
                ),
                because=needs.get(meaning, ""),
            )


def _amount_names(advertiser: Advertiser, meaning: Meaning) -> tuple[str, ...]:
    """Where items are listed, the first of them stands for all; else nothing."""
    items = advertiser.items if meaning == "amount" else None
    return tuple(one.replace(COUNTED, "1") for one in items.names) if items else ()


def _placeholder(
    meaning: Meaning, advertiser: Advertiser, catalog: Catalog, *, shows_token: bool
) -> str:
    if meaning == "token" and advertiser.auth.tokens:
        return _token(advertiser, catalog, shows_token=shows_token)
    return f"{{your {meaning.replace('_', ' ')} macro}}"


def _needs(
    advertiser: Advertiser, catalog: Catalog, offers: Sequence[Offer]
) -> Iterator[tuple[Meaning, str]]:
    """What is asked for, and why; what has no reason may be left out."""
    defaults = advertiser.defaults
    yield "click_id", "it says which visitor it was"
    yield "transaction_id", _reason(offers, _counts_transactions)
    if any(len(_goals(offer)) > 1 for offer in offers):
        yield "goal", "" if "goal" in defaults else _reason(offers, _is_ambiguous)
    if shares := _reason(offers, lambda offer: _pays_share(offer, catalog)):
        yield "amount", shares
    if sent := _reason(offers, lambda offer: _pays_what_is_sent(offer, catalog)):
        yield "payout", sent
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
    for goal in _goals(offer):
        if any(one.is_of_amount for one in _rates(goal, offer, catalog)):
            return f"{goal.key} of {offer.key} is a share of it"
    return ""


def _pays_what_is_sent(offer: Offer, catalog: Catalog) -> str:
    for goal in _goals(offer):
        if any(one.is_sent for one in _rates(goal, offer, catalog)):
            return f"{goal.key} of {offer.key} pays what it says"
    return ""


def _rates(goal: Goal, offer: Offer, catalog: Catalog) -> Iterator[Rate]:
    """Terms of partners count as well: one of them may have a share."""
    for terms in catalog.list_terms("", offer, goal):
        yield from (one for one in (terms.payout, terms.revenue) if one)


def _token(advertiser: Advertiser, catalog: Catalog, *, shows_token: bool) -> str:
    """The first of its tokens, by the name of its secret unless it is to be shown."""
    template = parse_template(advertiser.auth.tokens[0])
    if shows_token:
        return quote(expand_text(template, {}, catalog.secrets), safe="")
    return advertiser.auth.tokens[0] if template.secrets else MASK


def _goal_words(advertiser: Advertiser, goal: str) -> list[str]:
    """Its words for a goal, or ours where it has none."""
    words = advertiser.goals.items()
    return [_spoken(word) for word, meant in words if meant == goal] or [goal]


def _status_words(advertiser: Advertiser) -> dict[str, list[str]]:
    words: dict[str, list[str]] = {status.value: [] for status in Status}
    for word, status in advertiser.statuses.items():
        words.setdefault(status, []).append(_spoken(word))
    return {status: listed or [status] for status, listed in words.items()}


def _spoken(word: str) -> str:
    return "any other word" if word == OTHER else word


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


def _spellings(advertiser: Advertiser) -> Iterator[str]:
    """How it writes what it sends, where that is not as anybody would."""
    numerals = advertiser.numerals
    if numerals.is_minor:
        yield "amounts are in cents: 1250 is 12.50"
    elif numerals.places:
        yield f"the last {numerals.places} digits of amounts are the fraction"
    elif numerals.decimal == "comma":
        yield "amounts have a comma: 12,50"
    if advertiser.items:
        names = ", ".join(advertiser.items.names)
        yield f"the amount is the sum of the items in {names}"
    for meaning, word in advertiser.defaults.items():
        yield f"where no {meaning} is sent, {word} counts"
    for name, meant in advertiser.present.items():
        said = ", ".join(f"{meaning} {word}" for meaning, word in meant.items())
        yield f"where {name} is sent, it means {said}"


def _reply(advertiser: Advertiser) -> str:
    """What it hears when all went well."""
    body = advertiser.reply.body
    return '{"status": "accepted", …}' if body is None else body
