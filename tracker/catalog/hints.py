"""
What is likely not meant, in a file that can be believed.

A fault refuses the file; a hint does not. Each hint is a small function over the
checked document, named in `HINTS` by the word that stands for it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

from tracker.catalog.advertisers import AdvertiserSection
from tracker.catalog.check import CheckedCatalog
from tracker.catalog.document import Document
from tracker.catalog.faults import MOST_FAULTS, Flaw, one_of
from tracker.catalog.offers import OfferSection
from tracker.catalog.partners import PartnerSection
from tracker.catalog.postbacks import PostbackSection, compile_postbacks
from tracker.catalog.targeting import RuleSection, SpreadSection
from tracker.domain.foreign import ours
from tracker.domain.macros import (
    BASE_URL,
    asks_for_click,
    expand_text,
    parse_template,
)
from tracker.domain.money import Rate
from tracker.domain.offer import Status
from tracker.domain.outbound import PartnerPostback
from tracker.domain.vocabulary import CANONICAL, GENERIC, Meaning

Loc = tuple[str | int, ...]

_THIS_MACHINE = ("http://127.", "http://localhost", "http://[::1]")

_MIN_NAME = 6
"""Of shorter names, such as `oid`, one is as near to another as to its meaning."""


@dataclass(frozen=True, slots=True, order=True)
class Hint:
    """One thing to look at; `line` and `column` count from 1, `kind` is its word."""

    file: str
    line: int
    column: int
    path: str
    message: str
    kind: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}"
        return ": ".join(part for part in (place, "hint", self.path, self.message))


def find_hints(checked: CheckedCatalog, secrets: Mapping[str, str]) -> list[Hint]:
    """Everything to look at in a checked file, sorted by line."""
    survey = Survey(checked.document, secrets)
    found = [
        _placed(checked, kind, flaw)
        for kind, find in HINTS.items()
        for flaw in islice(find(survey), MOST_FAULTS)
    ]
    return sorted(found)


def _placed(checked: CheckedCatalog, kind: str, flaw: Flaw) -> Hint:
    at = checked.source.fault(flaw)
    return Hint(at.file, at.line, at.column, at.path, at.message, kind)


@dataclass(frozen=True)
class Survey:
    """A checked document, and what several hints ask of it."""

    document: Document
    secrets: Mapping[str, str]

    @cached_property
    def promoted(self) -> frozenset[str]:
        """The offers that some partner may promote."""
        listed = [self.offers_of(one) for one in self.document.partners.values()]
        return frozenset[str]().union(*listed)

    def offers_of(self, partner: PartnerSection) -> Iterable[str]:
        """What the partner may promote."""
        return self.document.offers if partner.offers == "all" else partner.offers

    def goals_of(self, advertiser: str) -> Iterator[tuple[str, OfferSection]]:
        """Each offer of the advertiser, with its key."""
        for key, offer in self.document.offers.items():
            if offer.advertiser == advertiser:
                yield key, offer

    @cached_property
    def postbacks(self) -> list[tuple[Loc, PartnerSection, PartnerPostback]]:
        """Every call that a partner wants, with its place."""
        return [
            (("partners", key, "postbacks", index), partner, postback)
            for key, partner in self.document.partners.items()
            for index, postback in enumerate(compile_postbacks(partner.postbacks))
        ]

    @cached_property
    def calls(self) -> list[tuple[Loc, PartnerPostback]]:
        """Likewise those of everybody, offers and the catalog as a whole included."""
        offers = self.document.offers.items()
        others: list[tuple[Loc, Sequence[PostbackSection]]]
        others = [((), self.document.postbacks)]
        others += [(("offers", key), offer.postbacks) for key, offer in offers]
        return [(loc, postback) for loc, _, postback in self.postbacks] + [
            ((*loc, "postbacks", index), postback)
            for loc, sections in others
            for index, postback in enumerate(compile_postbacks(sections))
        ]

    @cached_property
    def proofs(self) -> list[tuple[str, Loc, str]]:
        """What proves each advertiser, with its place and as it is written."""
        return [
            (key, ("advertisers", key, "auth", name), text)
            for key, advertiser in self.document.advertisers.items()
            for name, text in _proofs(advertiser)
        ]


def _proofs(advertiser: AdvertiserSection) -> Iterator[tuple[str, str]]:
    auth = advertiser.auth
    yield from (("token", text) for text in auth.token)
    yield from (("hmac", text) for text in auth.hmac)
    if auth.signature and auth.signature.key:
        yield "signature", auth.signature.key


def _shared_secrets(survey: Survey) -> Iterator[Flaw]:
    """Who knows it can speak for both, whatever it is called."""
    owners: dict[str, str] = {}
    for key, loc, text in survey.proofs:
        secret = expand_text(parse_template(text), {}, survey.secrets)
        first = owners.setdefault(secret, key)
        if first != key:
            message = f"is the secret of {first} as well: each can report for the other"
            yield Flaw(loc, message)
    for loc, _, postback in survey.postbacks:
        for secret in _secrets_in(postback, survey):
            if secret in owners:
                message = f"tells the partner the secret that proves {owners[secret]}"
                yield Flaw(loc, message)


def _secrets_in(postback: PartnerPostback, survey: Survey) -> list[str]:
    names = {name for text in postback.texts for name in parse_template(text).secrets}
    return [survey.secrets.get(name, "") for name in sorted(names - {BASE_URL})]


def _plain_secrets(survey: Survey) -> Iterator[Flaw]:
    message = (
        "stands in the file for everybody who reads it: write ${NAME}, and put the"
        " value into the environment or the secrets file"
    )
    for _, loc, proof in survey.proofs:
        if not parse_template(proof).secrets:
            yield Flaw(loc, message)
    for loc, postback in survey.calls:
        places = {"secret": postback.secret, "auth": _password(postback)}
        for place, text in places.items():
            if text and not parse_template(text).secrets:
                yield Flaw((*loc, place), message)


def _password(postback: PartnerPostback) -> str | None:
    return postback.auth.secret if postback.auth else None


def _nothing_proven(survey: Survey) -> Iterator[Flaw]:
    for key, advertiser in survey.document.advertisers.items():
        if advertiser.auth.none:
            message = (
                "whoever learns a click id can report a sale for it: ask for a token"
                " or a signature, where its server can send one"
            )
            yield Flaw(("advertisers", key, "auth", "none"), message)


def _unsigned_actions(survey: Survey) -> Iterator[Flaw]:
    """A signature that was seen once would do for any sale."""
    for key, advertiser in survey.document.advertisers.items():
        signature = advertiser.auth.signature
        if signature is None or signature.covers_all:
            continue
        names = {**GENERIC, **advertiser.postback.params}
        known = [*names["click_id"], *names["transaction_id"]]
        if not signature.parameters & {*known}:
            message = (
                "names neither the click nor the transaction"
                f" ({one_of(known)}): who sees one signature may"
                " report what he likes with it"
            )
            yield Flaw(("advertisers", key, "auth", "signature", "text"), message)


def _plain_http(survey: Survey) -> Iterator[Flaw]:
    message = "goes through the net for everybody to read and to change: use https://"
    for key, offer in survey.document.offers.items():
        for place, url in _destinations(offer):
            if _is_open(url):
                yield Flaw(("offers", key, *place), message)
    for loc, postback in survey.calls:
        if _is_open(postback.url):
            yield Flaw((*loc, "url"), message)


def _destinations(offer: OfferSection) -> Iterator[tuple[Loc, str]]:
    """Every URL that its visitors may be sent to, and where it stands."""
    yield from _spread((), offer)
    for index, rule in enumerate(offer.targeting):
        yield from _spread(("targeting", index), rule)


def _spread(
    place: Loc, section: SpreadSection | RuleSection
) -> Iterator[tuple[Loc, str]]:
    if section.url:
        yield (*place, "url"), section.url
    for index, one in enumerate(section.destinations):
        yield (*place, "destinations", index, "url"), one.url


def _is_open(url: str) -> bool:
    """Whether others are on the way; between two programs of one machine nobody is."""
    is_plain = url.lower().startswith("http://")
    return is_plain and not url.lower().startswith(_THIS_MACHINE)


def _idle_advertisers(survey: Survey) -> Iterator[Flaw]:
    owners = {offer.advertiser for offer in survey.document.offers.values()}
    for key in survey.document.advertisers:
        if key not in owners:
            message = "owns no offer, so that it has nothing to report"
            yield Flaw(("advertisers", key), message, at_key=True)


def _idle_offers(survey: Survey) -> Iterator[Flaw]:
    for key in survey.document.offers:
        if key not in survey.promoted:
            message = "no partner may promote it: add it to the `offers` of one"
            yield Flaw(("offers", key), message, at_key=True)


def _idle_partners(survey: Survey) -> Iterator[Flaw]:
    for key, partner in survey.document.partners.items():
        if not partner.offers:
            message = "may promote nothing: no link of it leads anywhere"
            yield Flaw(("partners", key), message, at_key=True)


def _untold_partners(survey: Survey) -> Iterator[Flaw]:
    for key, partner in survey.document.partners.items():
        if partner.offers and not partner.postbacks:
            message = "is told of no conversion: it has no postbacks"
            yield Flaw(("partners", key), message, at_key=True)


def _unspoken_goals(survey: Survey) -> Iterator[Flaw]:
    """Words are given, so all its goals should have one."""
    for key, advertiser in survey.document.advertisers.items():
        spellings = advertiser.postback.spellings
        words = {one for spelling in spellings for one in spelling.goals.values()}
        spoken = {*words, *_said(advertiser, "goal")}
        for offer, name in _silent_goals(survey, key) if words else ():
            if name not in spoken:
                message = (
                    f"no word of {key} leads here: it would have to send {name!r}"
                    " itself"
                )
                yield Flaw(("offers", offer, "goals", name), message, at_key=True)


def _said(advertiser: AdvertiserSection, meaning: Meaning) -> Iterator[str]:
    """What it says of a meaning without a parameter for it."""
    for said in (
        said
        for one in advertiser.postback.spellings
        for said in (one.defaults, *one.present.values())
    ):
        if meaning in said:
            yield said[meaning]


def _silent_goals(survey: Survey, advertiser: str) -> Iterator[tuple[str, str]]:
    """Goals that are not meant by a postback without one."""
    for key, offer in survey.goals_of(advertiser):
        if len(offer.goals) > 1:
            others = (name for name, goal in offer.goals.items() if not goal.default)
            yield from ((key, name) for name in others)


def _unnamed_parameters(survey: Survey) -> Iterator[Flaw]:
    """Names are given, so what its offers cannot do without should have one."""
    for key, advertiser in survey.document.advertisers.items():
        params = advertiser.postback.params
        spellings = [one.params for one in advertiser.postback.spellings]
        named = {what for one in spellings for what, own in one.items() if own}
        for meaning, why in _needs(survey, key) if any(spellings) else ():
            if meaning not in named and not _is_said(advertiser, meaning):
                message = (
                    f"{why}, and {meaning} is switched off"
                    if meaning in params
                    else f"{why}, and {meaning} is not listed: {key} would have to send"
                    f" `{meaning}` itself"
                )
                loc = ("advertisers", key, "postback", "params")
                yield Flaw(loc, message, at_key=True)


def _is_said(advertiser: AdvertiserSection, meaning: Meaning) -> bool:
    """Whether it is said in another way: the sum of items is an amount."""
    spellings = advertiser.postback.spellings
    if meaning == "amount" and any(one.items for one in spellings):
        return True
    return any(_said(advertiser, meaning))


def _needs(survey: Survey, advertiser: str) -> Iterator[tuple[Meaning, str]]:
    """What a postback must say for some offer of the advertiser, and why."""
    needs: dict[Meaning, str] = {}
    for key, offer in survey.goals_of(advertiser):
        if len(offer.goals) > 1 and not any(g.default for g in offer.goals.values()):
            needs.setdefault("goal", f"{key} has several goals and no default")
        for name, goal in offer.goals.items():
            if goal.once_per == "transaction":
                needs.setdefault(
                    "transaction_id", f"{name} of {key} counts once per transaction"
                )
            if goal.payout.is_sent:
                needs.setdefault("payout", f"{name} of {key} pays what is sent")
            if goal.payout.is_of_amount or goal.revenue.is_of_amount:
                needs.setdefault("amount", f"{name} of {key} is a share of the amount")
    yield from needs.items()


def _doubtful_names(survey: Survey) -> Iterator[Flaw]:
    for key, advertiser in survey.document.advertisers.items():
        params = advertiser.postback.params
        taken = Counter(name for names in params.values() for name in {*names})
        for meaning, names in params.items():
            for index, name in enumerate(names):
                message = _doubt(name, meaning, taken[name])
                if message:
                    loc = ("advertisers", key, "postback", "params", meaning, index)
                    yield Flaw(loc, message)


def _doubt(name: str, meaning: str, times: int) -> str:
    """What is odd about this name for this meaning; "" for nothing."""
    if times > 1:
        return f"{name!r} is listed for several meanings: its value counts for each"
    if name in CANONICAL and name != meaning and name not in _SHARED_WORDS:
        return f"{name!r} is our own word for something else than {meaning}"
    near = _misspelt(name)
    return f"{name!r} looks misspelt; did you mean {near!r}?" if near else ""


_SHARED_WORDS = frozenset({"payout"})
"""In a buyer's tracker it is what the buyer earns, which is our revenue."""


def _misspelt(name: str) -> str:
    """The usual name that it is one slip away from."""
    known = {*CANONICAL, *GENERIC["click_id"]}
    if name in known or len(name) < _MIN_NAME:
        return ""
    near = ours(name, sorted(known))
    return near[0] if len(near) == 1 and _is_one_slip(name, near[0]) else ""


def _is_one_slip(one: str, other: str) -> bool:
    """One letter too few, too many, or changed, or two exchanged."""
    if sorted(one) == sorted(other):
        return True
    shorter, longer = sorted((one, other), key=len)
    cut = {longer[:at] + longer[at + 1 :] for at in range(len(longer))}
    if len(shorter) < len(longer):
        return shorter in cut
    return sum(a != b for a, b in zip(one, other, strict=True)) == 1


def _odd_words(survey: Survey) -> Iterator[Flaw]:
    """Our own word for one status, listed for another."""
    for key, advertiser in survey.document.advertisers.items():
        for status, words in advertiser.postback.statuses.items():
            for word in words:
                if word in set(Status) and word != status:
                    loc = ("advertisers", key, "postback", "statuses", status)
                    yield Flaw(loc, f"{word!r} counts as {status} here: is that meant?")


def _unmatched_postbacks(survey: Survey) -> Iterator[Flaw]:
    """What a partner put on its link is all that it can find its own click by."""
    for loc, _, postback in survey.postbacks:
        if not asks_for_click(postback.macros):
            message = (
                "says nothing that the partner's link had, such as {sub1}: how is it"
                " to know which click paid off?"
            )
            yield Flaw((*loc, "url"), message)


def _silent_postbacks(survey: Survey) -> Iterator[Flaw]:
    """What asks for offers or goals that the partner does not promote."""
    offers = survey.document.offers
    for loc, partner, postback in survey.postbacks:
        keys = [key for key in survey.offers_of(partner) if key in offers]
        goals = {name for key in keys for name in offers[key].goals}
        wanted = {"offers": (postback.when.offers, {*keys}),
                  "goals": (postback.when.goals, goals)}  # fmt: skip
        for name, (asked, promoted) in wanted.items():
            if keys and asked and not asked & promoted:
                named = one_of(sorted(map(repr, asked)))
                message = f"never fires: the partner promotes nothing with {named}"
                yield Flaw((*loc, "when", name), message)


def _told_twice(survey: Survey) -> Iterator[Flaw]:
    """The same call for the same reason, under two ids."""
    seen: dict[tuple[str | int, ...], str] = {}
    for loc, _, postback in survey.postbacks:
        content = repr(replace(postback, id=""))
        first = seen.setdefault((*loc[:2], content), postback.id)
        if first != postback.id:
            message = f"says the same as {first!r}: the partner is told twice"
            yield Flaw((*loc, "id"), message)


def _losses(survey: Survey) -> Iterator[Flaw]:
    """More for the partner than the advertiser owes."""
    for key, offer in survey.document.offers.items():
        for name, goal in offer.goals.items():
            if _is_loss(goal.payout, goal.revenue):
                yield Flaw(("offers", key, "goals", name, "payout"), _LOSS)
    for key, partner in survey.document.partners.items():
        for loc, payout, revenue in _own_terms(partner, survey.document.offers):
            if _is_loss(payout, revenue):
                yield Flaw(("partners", key, "offers", *loc, "payout"), _LOSS)


_LOSS = "the partner earns more than the advertiser owes us"


def _is_loss(payout: Rate, revenue: Rate) -> bool:
    """Sums and shares cannot be compared with each other, nor what is sent later."""
    if payout.basis == "revenue":
        return payout.value > _ALL
    is_alike = replace(payout, value=revenue.value) == revenue
    return is_alike and payout.value > revenue.value


_ALL = 100
"""Per cent."""


def _own_terms(
    partner: PartnerSection, offers: Mapping[str, OfferSection]
) -> Iterator[tuple[Loc, Rate, Rate]]:
    if not isinstance(partner.offers, Mapping):
        return
    for key, own in partner.offers.items():
        for name, terms in own.goals.items():
            if terms.payout is not None:
                revenue = terms.revenue or offers[key].goals[name].revenue
                yield (key, "goals", name), terms.payout, revenue


HINTS: Mapping[str, Callable[[Survey], Iterator[Flaw]]] = {
    "shared_secret": _shared_secrets,
    "plain_secret": _plain_secrets,
    "nothing_proven": _nothing_proven,
    "unsigned_action": _unsigned_actions,
    "plain_http": _plain_http,
    "idle_advertiser": _idle_advertisers,
    "idle_offer": _idle_offers,
    "idle_partner": _idle_partners,
    "untold_partner": _untold_partners,
    "unspoken_goal": _unspoken_goals,
    "unnamed_parameter": _unnamed_parameters,
    "doubtful_name": _doubtful_names,
    "odd_word": _odd_words,
    "unmatched_postback": _unmatched_postbacks,
    "silent_postback": _silent_postbacks,
    "told_twice": _told_twice,
    "loss": _losses,
}
"""Every hint by its word, which `--json` gives as `kind`."""
