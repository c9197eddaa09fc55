"""
Whether a postback is believed, and what it then proposes.

Nothing here asks a store: a genuine click id names its partner, offer and time.
The order is fixed: parse, the MAC of the id, the advertiser, its proof, and only
then everything else, so that a stranger learns nothing by asking.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from ipaddress import ip_address, ip_network
from typing import Literal

from tracker.domain.advertiser import (
    IGNORED,
    OUR_WORDS,
    REFUNDED,
    Advertiser,
    meant_by,
)
from tracker.domain.call import Call
from tracker.domain.catalog import Catalog
from tracker.domain.click_id import ClickFacts, ClickIdMint, one_spelling
from tracker.domain.dialect import Dialect
from tracker.domain.errors import (
    ForgedClickIdError,
    NotFoundError,
    QuarantinedError,
    UnknownClickIdError,
)
from tracker.domain.filed import METHOD as FILED
from tracker.domain.items import total_of
from tracker.domain.money import Numerals
from tracker.domain.offer import Goal, Offer, Status
from tracker.domain.outcome import Reason
from tracker.domain.partner import Partner
from tracker.domain.postback import Postback, TokenHasher, tokens_of
from tracker.domain.signature import Nonce, Proof, kinds_asked, prove
from tracker.domain.unfilled import has_macro
from tracker.domain.value import Value
from tracker.domain.vocabulary import Meaning, Statement
from tracker.domain.worth import Sent

MAX_TRANSACTION_ID = 255
MAX_MENTION = 255

WAIVABLE = frozenset({
    Reason.MISSING_TOKEN,
    Reason.BAD_TOKEN,
    Reason.BAD_SIGNATURE,
    Reason.STALE_SIGNATURE,
    Reason.IP_NOT_ALLOWED,
    Reason.WRONG_ADVERTISER,
    Reason.OUTSIDE_WINDOW,
    Reason.OFFER_MISMATCH,
    Reason.REFUSED_CLICK,
    Reason.TOO_EARLY,
    Reason.OVER_LIMIT,
    Reason.CAPPED,
})  # fmt: skip
"""What an operator may overrule; the other reasons leave nothing to record."""

UNPROVEN = frozenset({
    Reason.MISSING_TOKEN,
    Reason.BAD_TOKEN,
    Reason.BAD_SIGNATURE,
    Reason.STALE_SIGNATURE,
    Reason.IP_NOT_ALLOWED,
    Reason.FORGED_CLICK,
})  # fmt: skip
"""Where somebody failed to prove something: too many from one address are limited."""

_MALFORMED: Mapping[Meaning, Reason] = {
    "click_id": Reason.UNKNOWN_CLICK,
    "transaction_id": Reason.BAD_TRANSACTION_ID,
    "goal": Reason.UNKNOWN_GOAL,
    "status": Reason.UNKNOWN_STATUS,
    "amount": Reason.BAD_AMOUNT,
    "currency": Reason.UNKNOWN_CURRENCY,
    "revenue": Reason.BAD_AMOUNT,
    "payout": Reason.BAD_AMOUNT,
    "offer": Reason.OFFER_MISMATCH,
}
"""What a meaning is called that was sent twice with different values."""


Refund = Literal["word", "sign"]


class Rules(Value, frozen=True):
    """By what a postback is judged; `waived` is an operator's word on one reason."""

    catalog: Catalog
    mint: ClickIdMint
    hasher: TokenHasher
    waived: Reason | None = None

    def object_to(self, reason: Reason) -> None:
        """Raises QuarantinedError, unless an operator has waived this reason."""
        if reason is not self.waived or reason not in WAIVABLE:
            raise QuarantinedError(reason)


class Proposal(Value, frozen=True):
    """
    What a believed postback says happened.

    `click` is None where a transaction alone has to find the conversion. `status` is
    None where none was sent: a new conversion takes its goal's, a known one keeps what
    it has. `sent` is what was said of money, without a sign. A `refund` takes that
    off, or everything if nothing was said, and has no status of its own; it says of
    itself what it is by its status word or by the sign of its money.
    `keys` hold for the action, the one that decides first, each with the advertiser it
    is unique for.
    """

    postback: Postback
    advertiser: Advertiser
    offer: Offer | None
    partner: Partner | None
    click: ClickFacts | None
    goal: str
    status: Status | None
    transaction_id: str | None
    sent: Sent
    refund: Refund | None
    keys: tuple[tuple[str, str], ...]
    fingerprint: bytes

    @property
    def owner(self) -> str:
        """The advertiser whose action it is, whoever was let to report it."""
        return self.keys[0][0]


class Admitted(Value, frozen=True):
    """A postback that was proven, and whom it comes from; what it says is unread."""

    postback: Postback
    statement: Statement
    advertiser: Advertiser
    click: ClickFacts | None

    @property
    def nonce(self) -> Nonce | None:
        """The nonce it used up, of its own advertiser's."""
        proof = self.postback.proof
        is_own = proof is not None and proof.advertiser == self.advertiser.key
        return proof.nonce if proof and is_own else None

    @property
    def numerals(self) -> Numerals:
        """How its sums are written: as its file says, else as the advertiser does."""
        proof = self.postback.proof
        mark = proof.decimal if proof else None
        return Numerals(mark) if mark else self.advertiser.numerals


class Mention(Value, frozen=True):
    """What a postback speaks of, believed or not, so that it can be found again."""

    advertiser: str | None
    click_id: str | None
    transaction_id: str | None


def mention_of(postback: Postback, rules: Rules) -> Mention:
    """Reads as much as can be read; nothing here is a reason to refuse."""
    route = rules.catalog.advertisers.get(postback.route or "")
    statement = _statement(postback, rules)
    click_id = statement.get("click_id")
    transaction_id = statement.get("transaction_id")
    return Mention(
        advertiser=route.key if route else _owner_of(click_id, rules),
        click_id=_mentioned(click_id, rules) if click_id else None,
        transaction_id=transaction_id[:MAX_MENTION] if transaction_id else None,
    )


def _mentioned(click_id: str, rules: Rules) -> str:
    """The id in the text, or the text where none is ours."""
    try:
        return rules.mint.find(click_id).id
    except (UnknownClickIdError, ForgedClickIdError):
        return one_spelling(click_id)[:MAX_MENTION]


def is_ahead(postback: Postback, rules: Rules) -> bool:
    """Whether it names a click of ours by numbers that this catalog does not know."""
    click_id = _statement(postback, rules).get("click_id")
    try:
        facts = rules.mint.find(click_id or "")
    except (UnknownClickIdError, ForgedClickIdError):
        return False
    return not rules.catalog.knows(facts.partner_number, facts.offer_number)


def _owner_of(click_id: str | None, rules: Rules) -> str | None:
    try:
        facts = rules.mint.find(click_id or "")
        return rules.catalog.offer_numbered(facts.offer_number).advertiser
    except (NotFoundError, ForgedClickIdError):
        return None


def judge(postback: Postback, rules: Rules) -> Proposal | None:
    """
    What the postback proposes; None for a status that the advertiser ignores.

    Raises QuarantinedError with the first reason not to believe it.
    """
    return propose(admit(postback, rules), rules)


def admit(postback: Postback, rules: Rules) -> Admitted:
    """
    The postback, if it comes from whom it says it does.

    Raises QuarantinedError with the first reason to doubt that.
    """
    if postback.fault:
        raise QuarantinedError(postback.fault)
    route = _route(postback, rules.catalog)
    statement = _statement(postback, rules)
    if route is not None and _is_ignored(statement, route):
        _authenticate(postback, route, rules)
        return Admitted(postback, statement, route, None)
    if statement.unfilled():
        raise QuarantinedError(Reason.UNFILLED_MACRO)
    click = _click(statement, route, rules)
    advertiser = route or _owner(click, rules)
    _authenticate(postback, advertiser, rules)
    return Admitted(postback, statement, advertiser, click)


def witness(postback: Postback, call: Call, rules: Rules) -> Postback:
    """The postback as it arrives, with what the signatures of its call prove."""
    catalog = rules.catalog
    claimed = mention_of(postback, rules).advertiser
    if claimed is None or postback.fault:
        return postback
    advertiser = catalog.advertiser(claimed)
    return postback.but(proof=prove(call, advertiser, catalog, postback.received_at))


def _statement(postback: Postback, rules: Rules) -> Statement:
    return dialect_of(postback, rules.catalog).read(postback.parameters)


def dialect_of(postback: Postback, catalog: Catalog) -> Dialect:
    """
    What it is read by: the variant that fits, where its advertiser has any.

    A row of a file is read by names that do not vary: its columns have one meaning.
    """
    dialect = catalog.dialect(postback.route)
    is_row = postback.method == FILED
    return dialect if is_row else dialect.of(postback.parameters)


def _route(postback: Postback, catalog: Catalog) -> Advertiser | None:
    if postback.route is None:
        return None
    try:
        advertiser = catalog.advertiser(postback.route)
    except NotFoundError:
        raise QuarantinedError(Reason.UNKNOWN_ADVERTISER) from None
    return dialect_of(postback, catalog).speaker or advertiser


def _click(
    statement: Statement, route: Advertiser | None, rules: Rules
) -> ClickFacts | None:
    text = statement.get("click_id")
    if text is None:
        if route is None or statement.get("transaction_id") is None:
            raise QuarantinedError(Reason.MISSING_CLICK_ID)
        return None
    if "click_id" in statement.unclear:
        raise QuarantinedError(Reason.UNKNOWN_CLICK)
    try:
        return rules.mint.find(text)
    except UnknownClickIdError:
        is_unfilled = has_macro(text)
        reason = Reason.UNFILLED_MACRO if is_unfilled else Reason.UNKNOWN_CLICK
        raise QuarantinedError(reason) from None
    except ForgedClickIdError:
        raise QuarantinedError(Reason.FORGED_CLICK) from None


def _owner(click: ClickFacts | None, rules: Rules) -> Advertiser:
    if click is None:
        raise QuarantinedError(Reason.MISSING_CLICK_ID)
    return rules.catalog.advertiser(_offer_of(click, rules).advertiser)


def _offer_of(click: ClickFacts, rules: Rules) -> Offer:
    """An id of ours names an offer we know, unless the store was exchanged."""
    try:
        return rules.catalog.offer_numbered(click.offer_number)
    except NotFoundError:
        raise QuarantinedError(Reason.UNKNOWN_CLICK) from None


def _authenticate(postback: Postback, advertiser: Advertiser, rules: Rules) -> None:
    """What is asked for must all hold; of a signature counts what it proved then."""
    auth, proof = advertiser.auth, postback.proof
    if proof and proof.operator and proof.advertiser == advertiser.key:
        return
    if auth.networks and not _is_within(postback.address, auth.networks):
        rules.object_to(Reason.IP_NOT_ALLOWED)
    if auth.tokens:
        _check_token(postback, advertiser, rules)
    if auth.is_signed:
        _check_signatures(postback, advertiser, rules)


def _check_signatures(postback: Postback, advertiser: Advertiser, rules: Rules) -> None:
    proof = postback.proof
    held = proof.held if proof and proof.advertiser == advertiser.key else ()
    if not set(kinds_asked(advertiser)) <= set(held):
        rules.object_to(Reason.BAD_SIGNATURE)
    elif proof and _is_stale(proof, advertiser):
        rules.object_to(Reason.STALE_SIGNATURE)


def _is_stale(proof: Proof, advertiser: Advertiser) -> bool:
    """Whether one is that is still asked for; its own only where it must be recent."""
    own = advertiser.auth.signature
    is_own_stale = proof.is_own_stale and own is not None and own.within is not None
    return is_own_stale or (proof.is_stale and bool(advertiser.auth.hmac))


def _check_token(postback: Postback, advertiser: Advertiser, rules: Rules) -> None:
    if postback.token_digest is None:
        rules.object_to(Reason.MISSING_TOKEN)
        return
    tokens = tokens_of(advertiser, rules.catalog)
    if not rules.hasher.matches(postback.token_digest, tokens):
        rules.object_to(Reason.BAD_TOKEN)


def _is_within(address: str, networks: tuple[str, ...]) -> bool:
    try:
        peer = ip_address(address)
    except ValueError:
        return False
    return any(peer in _network(network) for network in networks)


_network = lru_cache(maxsize=4096)(ip_network)


def _refuse_unclear(statement: Statement) -> None:
    for meaning, reason in _MALFORMED.items():
        if meaning in statement.unclear:
            raise QuarantinedError(reason)


def propose(admitted: Admitted, rules: Rules) -> Proposal | None:
    """
    What it says happened; None for a status that the advertiser ignores.

    Raises QuarantinedError with the first reason not to believe that.
    """
    postback, statement = admitted.postback, admitted.statement
    advertiser, click = admitted.advertiser, admitted.click
    if _is_ignored(statement, advertiser):
        return None
    _refuse_unclear(statement)
    offer = _offer(statement, click, advertiser, rules)
    goal = _goal(statement, offer, advertiser, rules.catalog)
    transaction_id = _id(statement, "transaction_id")
    word = _status_word(statement, advertiser)
    said = None if word == REFUNDED else _status(word)
    refund, sent = _refund(word, _sent(admitted, offer, rules.catalog), advertiser)
    status = None if refund else said
    partner = _partner(click, rules)
    owner = offer.advertiser if offer else advertiser.key
    keys = _keys(postback, offer, click, goal, transaction_id)
    what, which = REFUNDED if refund else status, click.id if click else None
    told = (goal, what, which, transaction_id, *_money(sent, statement))
    return Proposal(
        postback=postback,
        advertiser=advertiser,
        offer=offer,
        partner=partner,
        click=click,
        goal=goal,
        status=status,
        transaction_id=transaction_id,
        sent=sent,
        refund=refund,
        keys=tuple([(owner, key) for key in keys]),
        fingerprint=_print_of(told, statement, advertiser, refund),
    )


def _refund(
    word: str | None, sent: Sent, advertiser: Advertiser
) -> tuple[Refund | None, Sent]:
    """Whether something is taken back, by its word or by its sign, and how much."""
    refund: Refund | None = "word" if word == REFUNDED else None
    if not sent.is_negative:
        return refund, sent
    refund, sent = _taken_back(refund, word, sent)
    if refund and advertiser.refunds == "remaining":
        raise QuarantinedError(Reason.BAD_AMOUNT)
    return refund, sent


def _print_of(
    told: Sequence[str | Decimal | None],
    statement: Statement,
    advertiser: Advertiser,
    refund: Refund | None,
) -> bytes:
    """A refund with an id of its own is known by that; else by all that was told."""
    refund_id = _refund_id(statement) if refund else None
    if refund_id is None:
        return _fingerprint(*told)
    if advertiser.refunds == "each":
        return _fingerprint(told[0], REFUNDED, "refund", refund_id)
    return _fingerprint(*told, "refund", refund_id)


def _money(sent: Sent, statement: Statement) -> list[str | Decimal | None]:
    said = [statement.get("currency"), sent.amount, sent.revenue]
    return said if sent.payout is None else [*said, sent.payout]


def _offer(
    statement: Statement,
    click: ClickFacts | None,
    advertiser: Advertiser,
    rules: Rules,
) -> Offer | None:
    named = statement.get("offer")
    if named is not None:
        named = advertiser.offers.get(named.lower(), named)
    if click is None:
        return _named_offer(named, advertiser, rules.catalog)
    offer = _offer_of(click, rules)
    if offer.advertiser != advertiser.key:
        rules.object_to(Reason.WRONG_ADVERTISER)
    if named is not None and named != offer.key:
        rules.object_to(Reason.OFFER_MISMATCH)
    return offer


def _named_offer(
    named: str | None, advertiser: Advertiser, catalog: Catalog
) -> Offer | None:
    if named is None:
        return None
    offer = catalog.offers.get(named)
    if offer is None or offer.advertiser != advertiser.key:
        raise QuarantinedError(Reason.OFFER_MISMATCH)
    return offer


def _partner(click: ClickFacts | None, rules: Rules) -> Partner | None:
    if click is None:
        return None
    try:
        return rules.catalog.partner_numbered(click.partner_number)
    except NotFoundError:
        raise QuarantinedError(Reason.UNKNOWN_CLICK) from None


def _goal(
    statement: Statement, offer: Offer | None, advertiser: Advertiser, catalog: Catalog
) -> str:
    sent = statement.get("goal")
    offers = [offer] if offer else _offers_of(advertiser, catalog)
    if sent is None:
        return _default_goal(offers)
    ours = offer.goals if offer else {name for one in offers for name in one.goals}
    goal = meant_by(sent, advertiser.goals, ours)
    if goal not in ours:
        raise QuarantinedError(Reason.UNKNOWN_GOAL)
    return goal


def _offers_of(advertiser: Advertiser, catalog: Catalog) -> list[Offer]:
    return [
        offer for offer in catalog.offers.values() if offer.advertiser == advertiser.key
    ]


def _default_goal(offers: list[Offer]) -> str:
    """The default that all these offers agree on."""
    defaults = {offer.default_goal for offer in offers}
    goal = defaults.pop() if len(defaults) == 1 else None
    if goal is None:
        raise QuarantinedError(Reason.MISSING_GOAL)
    return goal


def _status_word(statement: Statement, advertiser: Advertiser) -> str | None:
    sent = statement.get("status")
    return sent and meant_by(sent.lower(), advertiser.statuses, OUR_WORDS)


def _is_ignored(statement: Statement, advertiser: Advertiser) -> bool:
    """Whether nothing else that it says is of interest."""
    is_clear = "status" not in statement.unclear
    return is_clear and _status_word(statement, advertiser) == IGNORED


def _status(word: str | None) -> Status | None:
    try:
        return Status(word) if word else None
    except ValueError:
        raise QuarantinedError(Reason.UNKNOWN_STATUS) from None


def _taken_back(
    refund: Refund | None, word: str | None, sent: Sent
) -> tuple[Refund | None, Sent]:
    """Without its sign; a rejection takes everything back, whatever its amount says."""
    if sent.is_contradictory:
        raise QuarantinedError(Reason.BAD_AMOUNT)
    by_sign: Refund | None = None if word == Status.REJECTED else "sign"
    return refund or by_sign, sent.absolute()


def _id(statement: Statement, meaning: Meaning) -> str | None:
    """What an advertiser calls something of its own."""
    text = statement.get(meaning)
    if text is not None and not _is_sound(text):
        raise QuarantinedError(Reason.BAD_TRANSACTION_ID)
    return text


def _refund_id(statement: Statement) -> str | None:
    """Only of a refund: an order may list all it had, which is no fault of its."""
    if "refund_id" in statement.unclear:
        raise QuarantinedError(Reason.BAD_TRANSACTION_ID)
    return _id(statement, "refund_id")


def _is_sound(text: str) -> bool:
    """U+FFFD stands where something arrived that was no text."""
    is_short = len(text) <= MAX_TRANSACTION_ID
    return is_short and text.isprintable() and "\ufffd" not in text


def _sent(admitted: Admitted, offer: Offer | None, catalog: Catalog) -> Sent:
    """What is said of money, signs and all."""
    statement, numerals = admitted.statement, admitted.numerals
    said, parse = statement.values.get, numerals.parse
    amount, revenue, payout = said("amount"), said("revenue"), said("payout")
    items = statement.items
    try:
        return Sent(
            amount=parse(amount) if amount else total_of(items, numerals),
            revenue=parse(revenue) if revenue else None,
            payout=parse(payout) if payout else None,
            currency=_currency(statement, admitted.advertiser, offer, catalog),
            is_minor=numerals.is_minor,
        )
    except ValueError:
        raise QuarantinedError(Reason.BAD_AMOUNT) from None


def _currency(
    statement: Statement, advertiser: Advertiser, offer: Offer | None, catalog: Catalog
) -> str | None:
    sent = statement.get("currency")
    if sent is not None:
        sent = advertiser.currencies.get(sent.lower(), sent).upper()
    currency = sent or (offer.currency if offer else None)
    is_own = offer is not None and currency == offer.currency
    if currency is None or is_own or catalog.knows_currency(currency):
        return currency
    raise QuarantinedError(Reason.UNKNOWN_CURRENCY)


def _keys(
    postback: Postback,
    offer: Offer | None,
    click: ClickFacts | None,
    goal: str,
    transaction_id: str | None,
) -> tuple[str, ...]:
    """
    What makes this action one action; where two hold, the first decides.

    A transaction holds for the advertiser whatever the goal is counted by, so
    that one sale cannot be claimed for two clicks.
    """
    by_transaction = f"transaction:{goal}:{transaction_id}"
    if offer is None or click is None:
        return (by_transaction,)
    terms = offer.goals[goal]
    if terms.once_per == "postback":
        return (f"postback:{postback.id}",)
    if terms.once_per == "transaction":
        return (_transaction_key(terms, click, transaction_id),)
    by_click = f"click:{goal}:{click.id}"
    return (by_click, by_transaction) if transaction_id else (by_click,)


def _transaction_key(goal: Goal, click: ClickFacts, transaction_id: str | None) -> str:
    if transaction_id is None:
        raise QuarantinedError(Reason.MISSING_TRANSACTION_ID)
    if goal.scope == "click":
        return f"click-transaction:{goal.key}:{click.id}:{transaction_id}"
    return f"transaction:{goal.key}:{transaction_id}"


def _fingerprint(*said: str | Decimal | None) -> bytes:
    """The same for postbacks that say the same, however they spell it."""
    text = "\n".join([_plain(one) for one in said])
    return blake2b(text.encode(errors="replace"), digest_size=16).digest()


def _plain(said: str | Decimal | None) -> str:
    return str(said.normalize()) if isinstance(said, Decimal) else said or ""
