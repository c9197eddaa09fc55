"""
What takes two places of partners.yaml to judge: names that must exist elsewhere.

Works on the data as it was read and not on the document, so that these faults are
named together with those of single values, in a file that has both.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from typing import TypeGuard

from tracker.catalog.currencies import CURRENCIES
from tracker.catalog.faults import Flaw, shorten, suggest
from tracker.catalog.reading import Data
from tracker.catalog.sums import CURRENCY
from tracker.domain.advertiser import OUR_WORDS
from tracker.domain.errors import TemplateError
from tracker.domain.macros import SECRET_REVENUES, SENT_PARAMETER, parse_template

Loc = tuple[str | int, ...]
Entries = dict[str, Data]


class _Known:
    """The names that a file declares, gathered once."""

    def __init__(self, data: Entries) -> None:
        self.advertisers = _mapping(data.get("advertisers"))
        self.offers = _mapping(data.get("offers"))
        self.revenues = {*SECRET_REVENUES, *_revenue_parameters(self.advertisers)}
        self.goals: set[str] = set()
        self.goals_of: dict[str, set[str]] = {}
        self.offers_of: dict[str, set[str]] = {}
        self.currencies = {str(data.get("currency")), *_mapping(data.get("rates"))}
        for key, offer in self.offers.items():
            owner = str(_mapping(offer).get("advertiser"))
            self.offers_of.setdefault(owner, set()).add(key)
            self.currencies |= {str(_mapping(offer).get("currency"))}
            self.goals_of.setdefault(owner, set()).update(_goals(offer))
            self.goals.update(_goals(offer))


def find_flaws(data: Entries) -> Iterator[Flaw]:
    """Everything that two places of the file disagree about."""
    known = _Known(data)
    yield from _rate_flaws(data)
    yield from _currency_flaws(data, known.offers)
    for key, advertiser in known.advertisers.items():
        yield from _advertiser_flaws(key, _mapping(advertiser), known)
    for key, offer in known.offers.items():
        yield from _offer_flaws(key, _mapping(offer), known)
    for key, partner in _mapping(data.get("partners")).items():
        yield from _partner_flaws(key, _mapping(partner), known)
    yield from _postback_flaws(("postbacks",), data.get("postbacks"), known)


def _currency_flaws(data: Entries, offers: Entries) -> Iterator[Flaw]:
    known = CURRENCIES | _mapping(data.get("rates")).keys()
    places: list[tuple[Loc, Data]] = [(("currency",), data.get("currency"))]
    places += [
        (("offers", key, "currency"), _mapping(offer).get("currency"))
        for key, offer in offers.items()
    ]
    for loc, currency in places:
        # One that is not three capital letters is named by the schema.
        if _is_code(currency) and currency not in known:
            yield Flaw(loc, "unknown currency: give it a rate to make it known")


def _rate_flaws(data: Entries) -> Iterator[Flaw]:
    own = data.get("currency")
    if isinstance(own, str) and own in _mapping(data.get("rates")):
        message = f"{_named(own)} is the catalog's own currency: it needs no rate"
        yield Flaw(("rates", own), message, at_key=True)


def _is_code(value: Data) -> TypeGuard[str]:
    return isinstance(value, str) and bool(CURRENCY.fullmatch(value))


def _advertiser_flaws(key: str, advertiser: Entries, known: _Known) -> Iterator[Flaw]:
    loc: Loc = ("advertisers", key, "postback")
    postback = _mapping(advertiser.get("postback"))
    yield from _spelling_flaws(loc, postback, postback, known)
    for index, variant in _variants(postback):
        whole = {**postback, **variant}
        for name in ("goals", "statuses"):
            whole[name] = {
                **_mapping(postback.get(name)),
                **_mapping(variant.get(name)),
            }
        yield from _spelling_flaws((*loc, "variants", index), variant, whole, known)


def _variants(postback: Entries) -> Iterator[tuple[int, Entries]]:
    listed = postback.get("variants")
    for index, variant in _items(listed if isinstance(listed, list) else []):
        yield index, _mapping(variant)


def _spelling_flaws(
    loc: Loc, said: Entries, whole: Entries, known: _Known
) -> Iterator[Flaw]:
    """Of what is said in one place, in the words of the whole."""
    key = str(loc[1])
    goals, offers = known.goals_of.get(key, set()), known.offers_of.get(key, set())
    statuses = _mapping(said.get("statuses"))
    yield from _repeated_words((*loc, "statuses"), statuses)
    yield from _translation_flaws(
        (*loc, "goals"), said, goals, f"no offer of {key} has a goal"
    )
    yield from _translation_flaws((*loc, "offers"), said, offers, f"{key} has no offer")
    yield from _translation_flaws(
        (*loc, "currencies"), said, known.currencies, "no rate is known for"
    )
    for place, stated in _stated(said):
        yield from _word_flaws((*loc, *place), stated, whole, goals)


def _translation_flaws(
    loc: Loc, postback: Entries, known: set[str], lacking: str
) -> Iterator[Flaw]:
    """Words of an advertiser's must mean something that is there."""
    words = _mapping(postback.get(str(loc[-1])))
    yield from _repeated_keys(loc, words)
    for word, ours in words.items():
        if isinstance(ours, str) and ours not in known:
            yield Flaw((*loc, word), f"{lacking} {_named(ours)}{suggest(ours, known)}")


def _stated(postback: Entries) -> Iterator[tuple[Loc, Entries]]:
    """What the file itself says for an advertiser, in its words or ours."""
    yield ("defaults",), _mapping(postback.get("defaults"))
    for name, meant in _mapping(postback.get("present")).items():
        yield ("present", name), _mapping(meant)


def _word_flaws(
    loc: Loc, said: Entries, postback: Entries, goals: set[str]
) -> Iterator[Flaw]:
    listed = _mapping(postback.get("statuses")).values()
    statuses = {word for words in listed for _, word in _items(words)} | OUR_WORDS
    for meaning, known in (
        ("goal", goals | _mapping(postback.get("goals")).keys()),
        ("status", statuses),
    ):
        word = said.get(meaning)
        folded = {one.strip().lower() for one in known if isinstance(one, str)}
        if isinstance(word, str) and word.strip().lower() not in folded:
            message = f"no {meaning} {_named(word)}{suggest(word, folded)}"
            yield Flaw((*loc, meaning), message)


def _repeated_words(loc: Loc, statuses: Entries) -> Iterator[Flaw]:
    seen: dict[str, str] = {}
    for status, words in statuses.items():
        for index, word in _items(words):
            folded = word.strip().lower() if isinstance(word, str) else ""
            if folded in seen:
                message = f"{_named(folded)} is listed already, under {seen[folded]}"
                yield Flaw((*loc, status, index), message)
            elif folded:
                seen[folded] = status


def _repeated_keys(loc: Loc, words: Entries) -> Iterator[Flaw]:
    seen: set[str] = set()
    for word in words:
        folded = word.strip().lower()
        if folded in seen:
            message = "is there already: words are compared without regard to case"
            yield Flaw((*loc, word), message, at_key=True)
        seen.add(folded)


def _offer_flaws(key: str, offer: Entries, known: _Known) -> Iterator[Flaw]:
    owner = offer.get("advertiser")
    if isinstance(owner, str) and owner not in known.advertisers:
        message = f"no advertiser {_named(owner)}{suggest(owner, known.advertisers)}"
        yield Flaw(("offers", key, "advertiser"), message)
    yield from _cap_flaws(
        ("offers", key), offer, _goals(offer), "the offer has no goal"
    )
    defaults = [goal for goal in _goals(offer) if _is_default(offer, goal)]
    for goal in defaults[1:]:
        message = f"{_named(defaults[0])} is the default already: only one can be"
        yield Flaw(("offers", key, "goals", goal, "default"), message)
    told: Loc = ("offers", key, "postbacks")
    yield from _postback_flaws(told, offer.get("postbacks"), known, offer)


def _is_default(offer: Entries, goal: str) -> bool:
    terms = _mapping(_mapping(offer.get("goals"))[goal])
    return str(terms.get("default")).lower() == "true"


def _partner_flaws(key: str, partner: Entries, known: _Known) -> Iterator[Flaw]:
    loc: Loc = ("partners", key)
    yield from _cap_flaws(loc, partner, known.goals, "no offer has a goal")
    yield from _promotion_flaws((*loc, "offers"), partner.get("offers"), known.offers)
    yield from _postback_flaws((*loc, "postbacks"), partner.get("postbacks"), known)
    if "revenue" not in [name for _, name in _items(partner.get("reveal"))]:
        for index, postback in _items(partner.get("postbacks")):
            place: Loc = (*loc, "postbacks", index)
            yield from _revenue_flaws(place, _mapping(postback), known.revenues)


def _postback_flaws(
    loc: Loc, listed: Data, known: _Known, of: Entries | None = None
) -> Iterator[Flaw]:
    """Those of postbacks that are told of one offer, or of any."""
    goals = known.goals if of is None else set(_goals(of))
    lacking = "this offer has no goal" if of else "no offer has a goal"
    postbacks = [(index, _mapping(entry)) for index, entry in _items(listed)]
    yield from _repeated_ids(loc, postbacks)
    for index, postback in postbacks:
        place: Loc = (*loc, index, "when")
        when = _mapping(postback.get("when"))
        for at, goal in _items(when.get("goals")):
            if isinstance(goal, str) and goal not in goals:
                message = f"{lacking} {_named(goal)}{suggest(goal, goals)}"
                yield Flaw((*place, "goals", at), message)
        for at, offer in _items(when.get("offers")):
            if isinstance(offer, str) and offer not in known.offers:
                yield Flaw((*place, "offers", at), _no_offer(offer, known.offers))


def _promotion_flaws(loc: Loc, promoted: Data, offers: Entries) -> Iterator[Flaw]:
    for index, offer in _items(promoted if isinstance(promoted, list) else []):
        if isinstance(offer, str) and offer not in offers:
            yield Flaw((*loc, index), _no_offer(offer, offers))
    for offer, terms in _mapping(promoted).items():
        if offer not in offers:
            yield Flaw((*loc, offer), _no_offer(offer, offers), at_key=True)
        else:
            yield from _terms_flaws((*loc, offer), terms, _goals(offers[offer]))


def _no_offer(offer: str, offers: Entries) -> str:
    return f"no offer {_named(offer)}{suggest(offer, offers)}"


def _terms_flaws(loc: Loc, terms: Data, known: Entries) -> Iterator[Flaw]:
    yield from _cap_flaws(loc, terms, known, "the offer has no goal")
    for goal in _goals(terms):
        if goal not in known:
            message = f"the offer has no goal {_named(goal)}{suggest(goal, known)}"
            yield Flaw((*loc, "goals", goal), message, at_key=True)


def _cap_flaws(
    loc: Loc, owner: Data, known: Collection[str], complaint: str
) -> Iterator[Flaw]:
    for index, cap in _items(_mapping(owner).get("caps")):
        for place, goal in _items(_mapping(cap).get("goals")):
            if isinstance(goal, str) and goal not in known:
                message = f"{complaint} {_named(goal)}{suggest(goal, known)}"
                yield Flaw((*loc, "caps", index, "goals", place), message)


def _repeated_ids(loc: Loc, postbacks: list[tuple[int, Entries]]) -> Iterator[Flaw]:
    seen: set[str] = set()
    for index, postback in postbacks:
        name = postback.get("id")
        if isinstance(name, str) and name in seen:
            message = f"another postback has the id {_named(name)} already"
            yield Flaw((*loc, index, "id"), message)
        elif isinstance(name, str):
            seen.add(name)


def _revenue_parameters(advertisers: Entries) -> Iterator[str]:
    """The macros of parameters in which advertisers say what they owe us."""
    yield f"{SENT_PARAMETER}revenue"
    for advertiser in advertisers.values():
        postback = _mapping(_mapping(advertiser).get("postback"))
        for spelling in (postback, *(one for _, one in _variants(postback))):
            said = _mapping(spelling.get("params"))
            for _, name in _items(said.get("revenue")):
                yield f"{SENT_PARAMETER}{name}".lower()


def _revenue_flaws(loc: Loc, postback: Entries, revenues: set[str]) -> Iterator[Flaw]:
    for place, text in _templates(postback):
        for name in sorted(one for one in _macros(text) if one.lower() in revenues):
            message = f"{{{name}}} is shown only to a partner with 'reveal: [revenue]'"
            yield Flaw((*loc, *place), message)


def _templates(postback: Entries) -> Iterator[tuple[Loc, str]]:
    for part in ("url", "query", "body", "form", "json", "headers", "sign"):
        yield from _texts((part,), postback.get(part))


def _texts(loc: Loc, data: Data) -> Iterator[tuple[Loc, str]]:
    """Every text in a tree, with the way to it."""
    if isinstance(data, str):
        yield loc, data
    for index, inner in enumerate(data if isinstance(data, list) else ()):
        yield from _texts((*loc, index), inner)
    for key, inner in _mapping(data).items():
        yield from _texts((*loc, key), inner)


def _macros(text: str) -> Iterable[str]:
    with suppress(TemplateError):
        return parse_template(text).macros
    return ()


def _goals(offer: Data) -> Entries:
    return _mapping(_mapping(offer).get("goals"))


def _mapping(value: Data) -> Entries:
    return value if isinstance(value, dict) else {}


def _items(value: Data) -> list[tuple[int, Data]]:
    """What a list holds; a single text counts as a list of one."""
    if isinstance(value, list):
        return list(enumerate(value))
    return [(0, value)] if isinstance(value, str) else []


def _named(word: str) -> str:
    return repr(shorten(word))
