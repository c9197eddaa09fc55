"""What a catalog's values are called on pages."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice

from tracker.domain.advertiser import Advertiser
from tracker.domain.catalog import Catalog
from tracker.domain.earning import Terms, terms_of_offer, terms_of_partner
from tracker.domain.firing import spell_conditions
from tracker.domain.offer import Offer
from tracker.domain.outbound import PartnerPostback
from tracker.domain.partner import Partner
from tracker.domain.signature import kinds_asked
from tracker.logs import mask

PER_PAGE = 50

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True, slots=True)
class Told:
    """A postback: how it calls, and what it fires on."""

    id: str
    method: str
    url: str
    conditions: Sequence[str]
    proves: Sequence[str]


@dataclass(frozen=True, slots=True)
class Entry:
    """An advertiser, an offer or a partner as a row of a page."""

    key: str
    name: str
    state: str = ""
    facts: Sequence[tuple[str, str]] = ()
    terms: Sequence[Terms] = ()
    told: Sequence[Told] = field(default_factory=tuple)


def list_entries(
    catalog: Catalog, section: str, wanted: str, after: str
) -> tuple[list[Entry], str]:
    """A page of a section, of keys and names with that text; where the next begins."""
    entries = _section(catalog, section)
    text = wanted.strip().lower()
    fitting = (
        one
        for key, one in sorted(entries.items())
        if key > after and (text in key.lower() or text in one.name.lower())
    )
    shown = list(islice(fitting, PER_PAGE + 1))
    rows = [_entry(one, catalog) for one in shown[:PER_PAGE]]
    return rows, (rows[-1].key if len(shown) > PER_PAGE else "")


def _section(catalog: Catalog, name: str) -> Mapping[str, Advertiser | Offer | Partner]:
    match name:
        case "advertisers":
            return catalog.advertisers
        case "partners":
            return catalog.partners
        case _:
            return catalog.offers


def _entry(one: Advertiser | Offer | Partner, catalog: Catalog) -> Entry:
    match one:
        case Advertiser():
            facts = tuple(_advertiser_facts(one, catalog))
            return Entry(one.key, one.name, _state(one), facts)
        case Offer():
            terms = terms_of_offer(one)
            facts, told = tuple(_offer_facts(one, catalog)), _told(one.postbacks)
            return Entry(one.key, one.name, _state(one), facts, terms, told)
        case Partner():
            own = list(terms_of_partner(one, catalog))
            facts, told = tuple(_partner_facts(one, catalog)), _told(one.postbacks)
            return Entry(one.key, one.name, _state(one), facts, own, told)


def _state(one: Advertiser | Offer | Partner) -> str:
    if one.is_retired:
        return "retired"
    return "paused" if getattr(one, "is_paused", False) else ""


def _advertiser_facts(one: Advertiser, catalog: Catalog) -> Iterator[tuple[str, str]]:
    offers = [o.key for o in catalog.offers.values() if o.advertiser == one.key]
    yield "proves itself by", ", ".join(proofs_of(one)) or "nothing"
    yield "offers", _few(offers)
    if one.goals:
        yield "goals", ", ".join(f"{said} = {ours}" for said, ours in one.goals.items())
    if one.statuses:
        said = (f"{word} = {ours}" for word, ours in one.statuses.items())
        yield "statuses", ", ".join(said)
    if one.auth.networks:
        yield "calls from", ", ".join(one.auth.networks)


def proofs_of(one: Advertiser) -> list[str]:
    """What it has to prove, by the names that the file has for it."""
    asked = {"a token": one.auth.tokens, "its address": one.auth.networks}
    return [*(name for name, is_so in asked.items() if is_so), *kinds_asked(one)]


def _offer_facts(one: Offer, catalog: Catalog) -> Iterator[tuple[str, str]]:
    yield "advertiser", one.advertiser
    yield "leads to", mask(one.url)
    if one.targeting:
        yield "and to", _few([mask(url) for url in one.targeting.urls()][1:])
    if one.fallback_url:
        yield "otherwise to", mask(one.fallback_url)
    yield "window", duration(one.window)
    if one.deeplinks:
        yield "deep links", ", ".join(sorted(one.deeplinks))
    if one.schedule and one.schedule.starts:
        yield "starts", one.schedule.starts.isoformat(" ", "minutes")
    if one.schedule and one.schedule.ends:
        yield "ends", one.schedule.ends.isoformat(" ", "minutes")
    for cap in [*catalog.caps_at(one.key, "")] if one.caps else []:
        yield "at most", str(cap)


def _partner_facts(one: Partner, catalog: Catalog) -> Iterator[tuple[str, str]]:
    listed = _few([*one.offers])
    others = f"all, with terms of its own for {listed}" if one.offers else "all"
    yield "offers", others if one.all_offers else listed
    if one.reveal:
        yield "may see", ", ".join(sorted(one.reveal))
    for cap in [*catalog.caps_at("", one.key)] if one.caps else []:
        yield "at most", str(cap)


def _told(postbacks: Sequence[PartnerPostback]) -> list[Told]:
    return [
        Told(
            one.id,
            one.method,
            mask(one.url),
            spell_conditions(one.when),
            list(_proofs(one)),
        )
        for one in postbacks
    ]


def _proofs(one: PartnerPostback) -> Iterator[str]:
    """How a receiver can tell that it is us."""
    if one.secret or one.sign:
        yield "a signature"
    if one.auth:
        yield "credentials"
    if any("${" in value for value in one.headers.values()):
        yield "a secret header"


def duration(span: timedelta) -> str:
    """`30 d`, `90 min`: in the largest unit that it is a whole number of."""
    seconds = int(span.total_seconds())
    for size, unit in _UNITS:
        if seconds and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _few(keys: Sequence[str], most: int = 12) -> str:
    more = f" and {len(keys) - most:,} more" if len(keys) > most else ""
    return ", ".join(keys[:most]) + more if keys else "none"
