"""A conversion, the changes that made it what it is, and what may change it next."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal

from tracker.domain.catalog import Catalog
from tracker.domain.click_id import ClickClass, ClickFacts, ClickId
from tracker.domain.errors import NotFoundError, QuarantinedError, RefusedChangeError
from tracker.domain.identity import (
    ChangeId,
    ConversionId,
    PostbackId,
    change_id_of,
    conversion_id_of,
    new_change_id,
)
from tracker.domain.judgement import Proposal, Rules
from tracker.domain.meter import Action, Meters, Share
from tracker.domain.offer import Goal, Offer, OnRepeat, Status
from tracker.domain.outcome import Outcome, Reason, Verdict
from tracker.domain.value import Value
from tracker.domain.worth import Money, Sent, Stated, left_of, taken_now, worth_of

ChangeKind = Literal["created", "status", "amount"]

_TWELVE_DECIMALS = Decimal("0.000000000001")

_MOVES = {
    Status.PENDING: {Status.APPROVED, Status.REJECTED},
    Status.APPROVED: {Status.REJECTED},
    Status.REJECTED: frozenset[Status](),
}
"""Where an advertiser may move a conversion; an operator may move it anywhere."""

HELD = "held for review"
"""The note of a change that would have been an approval."""

CAPPED = "held at pending, beyond the cap of "
"""How the note of a change begins that a cap keeps from counting."""


class Conversion(Value, frozen=True):
    """
    An action we accepted and attributed, as it stands.

    `changed_at` is when what somebody said changed it last, and `changes` how many
    changes it has had.
    """

    id: ConversionId
    advertiser: str
    offer: str
    partner: str
    goal: str
    click_id: ClickId
    click_class: ClickClass
    clicked_at: datetime
    transaction_id: str | None
    status: Status
    money: Money
    converted_at: datetime
    changed_at: datetime
    changes: int
    catalog_version: int


class Cause(Value, frozen=True):
    """
    Who made a change, when, and under which catalog.

    It is one postback, one operator, or one rule of the catalog. `fingerprint` is a
    hash of what the postback said, `note` why an operator did it, or what kept a
    postback's from being more: a cap, or a review.
    """

    at: datetime
    catalog_version: int
    postback_id: PostbackId | None = None
    fingerprint: bytes | None = None
    operator: str | None = None
    note: str | None = None
    rule: str | None = None


class Change(Value, frozen=True):
    """
    One thing that happened to a conversion; `number` counts from 1.

    `old_money` is what it was worth before, as far as that is known here.
    """

    id: ChangeId
    conversion_id: ConversionId
    number: int
    kind: ChangeKind
    old_status: Status | None
    status: Status
    money: Money
    cause: Cause
    old_money: Money | None = None

    @property
    def changed_at(self) -> datetime:
        """When what made it arrived."""
        return self.cause.at


class Standing(Value, frozen=True):
    """What a postback makes of a conversion, and what kept it from being more."""

    status: Status
    money: Money
    note: str | None = None


class Ledger:
    """
    The conversions that a batch of postbacks concerns, while it is decided.

    Postbacks are decided in the order of their arrival, and what one has changed
    the next one sees. `keys` says which conversion holds a key of an advertiser,
    `capped` which ones a cap holds at pending. `meters` is None where nothing is
    capped. Afterwards `created`, `updated`, `changes`, `claimed` and what the meters
    `moved` are what is to be written.
    """

    def __init__(
        self,
        keys: Mapping[tuple[str, str], ConversionId],
        conversions: Iterable[Conversion],
        applied: Iterable[tuple[ConversionId, bytes | None]] = (),
        meters: Meters | None = None,
        capped: Iterable[ConversionId] = (),
    ) -> None:
        self._keys = dict(keys)
        self._conversions = {one.id: one for one in conversions}
        self._applied = set(applied)
        self.meters = meters
        self._capped = set(capped)
        self._learned: set[ConversionId] = set()
        self._after: dict[ChangeId, Conversion] = {}
        self.changes: list[Change] = []
        self.claimed: dict[tuple[str, str], ConversionId] = {}

    @property
    def created(self) -> list[Conversion]:
        """Conversions that did not exist before, as they stand in the end."""
        return [
            self._conversions[change.conversion_id]
            for change in self.changes
            if change.kind == "created"
        ]

    @property
    def updated(self) -> list[Conversion]:
        """Conversions that existed and have changed, as they stand in the end."""
        created = {conversion.id for conversion in self.created}
        changed = {change.conversion_id for change in self.changes} | self._learned
        return [self._conversions[one] for one in sorted(changed - created)]

    def list_all(self) -> list[Conversion]:
        """All of them, as they stand."""
        return list(self._conversions.values())

    def take_in(self, found: "Ledger") -> None:
        """What another one was found with, where this one has not gone on from it."""
        keys, conversions = found._keys, found._conversions  # noqa: SLF001 - its kind
        new = conversions.keys() - self._conversions.keys()
        self._capped |= found._capped & new  # noqa: SLF001 - likewise
        for key, holder in keys.items():
            self._keys.setdefault(key, holder)
        for holder, conversion in conversions.items():
            self._conversions.setdefault(holder, conversion)
        self._applied |= found._applied  # noqa: SLF001 - likewise
        if found.meters and self.meters:
            found.meters.resume(self.meters)
        self.meters = found.meters or self.meters

    def get(self, conversion_id: ConversionId) -> Conversion:
        """A conversion as it stands."""
        return self._conversions[conversion_id]

    def get_after(self, change: Change) -> Conversion:
        """The conversion as this change left it, whatever it became since."""
        return self._after[change.id]

    def decide(self, proposal: Proposal, rules: Rules) -> Outcome:
        """
        What becomes of a proposal.

        Raises QuarantinedError where it conflicts with another conversion, or may
        not make a new one.
        """
        conversion = self._find(proposal)
        if conversion is None:
            _refuse_unknown(proposal)
            return self._create(proposal, rules)
        if proposal.refund:
            return self._refund(conversion, proposal, rules)
        objection = self._objection(conversion, proposal, rules.catalog)
        if objection is Reason.OTHER_TRANSACTION:
            return _outcome(proposal, Verdict.DUPLICATE, conversion, objection)
        # Quarantined before anything is learned: then it may leave no trace here.
        after = None if objection else self._after_this(conversion, proposal, rules)
        self._claim(proposal, conversion.id)
        conversion = self._learn_transaction(conversion, proposal)
        if after is None:
            return _outcome(proposal, Verdict.DUPLICATE, conversion, objection)
        return self._update(conversion, proposal, after, rules)

    def set_status(
        self, conversion_id: ConversionId, status: Status, cause: Cause
    ) -> Change:
        """A decision that no postback made: any other status may follow."""
        conversion = self._conversions[conversion_id]
        if conversion.status is status:
            raise RefusedChangeError(f"{conversion_id} is {status} already")
        return self._change(conversion, cause, status=status)

    def set_amount(
        self,
        conversion_id: ConversionId,
        amount: Decimal,
        cause: Cause,
        catalog: Catalog,
    ) -> Change:
        """
        An operator's correction of the amount, in the offer's currency.

        What the advertiser sent stays as it was.
        """
        conversion = self._conversions[conversion_id]
        if amount == conversion.money.amount:
            raise RefusedChangeError(f"{conversion_id} has this amount already")
        stated = _stated(conversion, Sent(amount), catalog)
        priced = worth_of(stated, conversion.money)
        money = conversion.money.but(
            amount=priced.amount,
            payout=priced.payout,
            revenue=priced.revenue,
        )
        return self._change(conversion, cause, money=money)

    def _find(self, proposal: Proposal) -> Conversion | None:
        found = [
            self._conversions[self._keys[key]]
            for key in proposal.keys
            if key in self._keys
        ]
        click = proposal.click
        if any(click and conversion.click_id != click.id for conversion in found):
            raise QuarantinedError(Reason.TRANSACTION_CONFLICT)
        return found[0] if found else None

    def _create(self, proposal: Proposal, rules: Rules) -> Outcome:
        conversion = _new_conversion(proposal, rules)
        standing = self._standing(None, conversion, rules)
        if standing.status is not conversion.status:
            conversion = conversion.but(status=standing.status)
        self._claim(proposal, conversion.id)
        self._record(conversion, "created", _cause(proposal, rules, standing.note))
        return _outcome(proposal, Verdict.ACCEPTED, conversion)

    def _refund(
        self, conversion: Conversion, proposal: Proposal, rules: Rules
    ) -> Outcome:
        """
        Takes off what comes back; where nothing is left, the conversion is rejected.

        A refund is no action: it claims no key, and a transaction of its own is none
        of the conversion's.
        """
        if (conversion.id, proposal.fingerprint) in self._applied:
            return _outcome(proposal, Verdict.DUPLICATE, conversion, Reason.REPEATED)
        stated = _stated(conversion, proposal.sent, rules.catalog)
        taken = taken_now(conversion.money, stated, proposal.advertiser.refunds)
        if taken is None:
            return _outcome(proposal, Verdict.DUPLICATE, conversion, Reason.REPEATED)
        money = left_of(conversion.money, taken)
        is_overtaken = proposal.postback.received_at < conversion.changed_at
        if conversion.status is Status.REJECTED or (money is None and is_overtaken):
            reason = Reason.STALE_STATUS
            return _outcome(proposal, Verdict.DUPLICATE, conversion, reason)
        status = Status.REJECTED if money is None else None
        self._change(conversion, _cause(proposal, rules), status=status, money=money)
        return _outcome(proposal, Verdict.UPDATED, conversion)

    def _objection(
        self, conversion: Conversion, proposal: Proposal, catalog: Catalog
    ) -> Reason:
        """Why a further postback changes nothing; `Reason.NONE` if it may."""
        if (conversion.id, proposal.fingerprint) in self._applied:
            return Reason.REPEATED
        on_repeat = _goal(conversion, catalog).on_repeat
        if on_repeat != "add" and _is_other_transaction(conversion, proposal):
            return Reason.OTHER_TRANSACTION
        if _is_stale(conversion, proposal, on_repeat):
            return Reason.STALE_STATUS
        return Reason.NONE

    def _after_this(
        self, conversion: Conversion, proposal: Proposal, rules: Rules
    ) -> Standing:
        status = proposal.status or conversion.status
        money = _money_after(conversion, proposal, rules)
        after = conversion.but(status=status, money=money)
        return self._standing(conversion, after, rules)

    def _standing(
        self, before: Conversion | None, after: Conversion, rules: Rules
    ) -> Standing:
        """
        Where its goal's review, and then the caps, let a conversion stand.

        Raises QuarantinedError where a cap has no room for it.
        """
        note = None
        if _is_held(after, before, rules.catalog):
            after, note = after.but(status=Status.PENDING), HELD
        standing = self._within_caps(before, after, rules)
        is_said = standing.note or note is None
        return standing if is_said else standing.but(note=note)

    def _within_caps(
        self, before: Conversion | None, after: Conversion, rules: Rules
    ) -> Standing:
        """
        Where the caps let a conversion stand.

        One that a cap holds at pending stays so while the cap has no room, whatever
        its advertiser says. Raises QuarantinedError where a cap has no room for it.
        """
        meters, shares = self.meters, (_share(before), _share(after))
        is_approval = after.status is Status.APPROVED
        is_held = is_approval and after.id in self._capped
        placed = meters and meters.exceeded(*shares, is_held=is_held)
        if not placed:
            return Standing(after.status, after.money)
        if placed.cap.then == "quarantine":
            rules.object_to(Reason.CAPPED)
        if placed.cap.then == "pending":
            return Standing(Status.PENDING, after.money, f"{CAPPED}{placed}")
        return Standing(after.status, after.money, f"beyond the cap of {placed}")

    def _update(
        self, conversion: Conversion, proposal: Proposal, after: Standing, rules: Rules
    ) -> Outcome:
        if (after.status, after.money) == (conversion.status, conversion.money):
            reason = _unchanged_for(after.note)
            return _outcome(proposal, Verdict.DUPLICATE, conversion, reason)
        cause = _cause(proposal, rules, after.note)
        self._change(conversion, cause, status=after.status, money=after.money)
        return _outcome(proposal, Verdict.UPDATED, conversion)

    def _learn_transaction(
        self, conversion: Conversion, proposal: Proposal
    ) -> Conversion:
        """The first transaction that is named for a conversion is its own."""
        if conversion.transaction_id or not proposal.transaction_id:
            return conversion
        learned = conversion.but(transaction_id=proposal.transaction_id)
        self._conversions[conversion.id] = learned
        self._learned.add(conversion.id)
        return learned

    def _change(
        self,
        conversion: Conversion,
        cause: Cause,
        *,
        status: Status | None = None,
        money: Money | None = None,
    ) -> Change:
        changed = conversion.but(
            status=status or conversion.status,
            money=money or conversion.money,
            changed_at=_told_last(conversion, cause),
            changes=conversion.changes + 1,
        )
        kind: ChangeKind = "amount" if changed.status is conversion.status else "status"
        return self._record(changed, kind, cause, before=conversion)

    def _record(
        self,
        conversion: Conversion,
        kind: ChangeKind,
        cause: Cause,
        before: Conversion | None = None,
    ) -> Change:
        change = Change(
            id=_change_id(cause),
            conversion_id=conversion.id,
            number=conversion.changes,
            kind=kind,
            old_status=before.status if before else None,
            status=conversion.status,
            money=conversion.money,
            cause=cause,
            old_money=before.money if before else None,
        )
        if self.meters:
            self.meters.count(_share(before), _share(conversion))
        self._note_capped(change)
        self._conversions[conversion.id] = self._after[change.id] = conversion
        self._applied.add((conversion.id, cause.fingerprint))
        self.changes.append(change)
        return change

    def _note_capped(self, change: Change) -> None:
        """A cap holds it until its status changes, not until its amount does."""
        if _is_capped(change.cause.note):
            self._capped.add(change.conversion_id)
        elif change.kind == "status":
            self._capped.discard(change.conversion_id)

    def _claim(self, proposal: Proposal, conversion_id: ConversionId) -> None:
        """The keys of the proposal now belong to this conversion."""
        for key in proposal.keys:
            if key not in self._keys:
                self._keys[key] = self.claimed[key] = conversion_id


def list_actions(
    conversions: Iterable[Conversion], proposals: Iterable[Proposal]
) -> set[Action]:
    """What caps may have to be asked about: what stands, and what may become of it."""
    found = {_action(one) for one in conversions}
    for one in proposals:
        if one.offer and one.partner:
            at = one.postback.received_at
            found.add(Action(one.offer.key, one.partner.key, one.goal, at))
    return found


def _action(conversion: Conversion) -> Action:
    return Action(
        offer=conversion.offer,
        partner=conversion.partner,
        goal=conversion.goal,
        arrived_at=conversion.converted_at,
    )


def _share(conversion: Conversion | None) -> Share | None:
    """What it takes of caps; nothing once it is rejected, or if its click is a test."""
    if conversion is None or conversion.status is Status.REJECTED:
        return None
    if conversion.click_class is ClickClass.TEST:
        return None
    money = conversion.money
    return Share(_action(conversion), money.currency, money.payout, money.revenue)


def _told_last(conversion: Conversion, cause: Cause) -> datetime:
    """
    When somebody said last how it stands.

    A rule knows nothing new: a postback that was on its way may undo what it did.
    """
    is_news = cause.rule is None
    return max(cause.at, conversion.changed_at) if is_news else conversion.changed_at


def _is_held(after: Conversion, before: Conversion | None, catalog: Catalog) -> bool:
    """Whether what an advertiser approves waits for an operator, or for its time."""
    was_approved = before is not None and before.status is Status.APPROVED
    is_approval = after.status is Status.APPROVED and not was_approved
    return is_approval and _goal(after, catalog).review


def _is_capped(note: str | None) -> bool:
    return note is not None and note.startswith(CAPPED)


def _unchanged_for(note: str | None) -> Reason:
    """Why a postback that nothing objects to changes nothing."""
    if note == HELD:
        return Reason.IN_REVIEW
    return Reason.HELD_BY_CAP if _is_capped(note) else Reason.REPEATED


def _cause(proposal: Proposal, rules: Rules, note: str | None = None) -> Cause:
    return Cause(
        at=proposal.postback.received_at,
        catalog_version=rules.catalog.version,
        postback_id=proposal.postback.id,
        fingerprint=proposal.fingerprint,
        note=note,
    )


def _change_id(cause: Cause) -> ChangeId:
    if cause.postback_id is None:
        return new_change_id(cause.at)
    return change_id_of(cause.postback_id)


def _outcome(
    proposal: Proposal,
    verdict: Verdict,
    conversion: Conversion,
    reason: Reason = Reason.NONE,
) -> Outcome:
    return Outcome(proposal.postback.id, verdict, reason, conversion.id)


def _is_other_transaction(conversion: Conversion, proposal: Proposal) -> bool:
    both = (conversion.transaction_id, proposal.transaction_id)
    return None not in both and both[0] != both[1]


def _is_stale(conversion: Conversion, proposal: Proposal, on_repeat: OnRepeat) -> bool:
    """
    Whether the conversion has moved on.

    Postbacks overtake each other: one that arrived before the last change cannot
    undo it, whenever it is judged. What is added undoes nothing.
    """
    is_overtaken = proposal.postback.received_at < conversion.changed_at
    if proposal.status in {None, conversion.status}:
        return is_overtaken and on_repeat == "update"
    if is_overtaken:
        return True
    may_reopen = proposal.advertiser.reopen and conversion.status is Status.REJECTED
    return not may_reopen and proposal.status not in _MOVES[conversion.status]


def _refuse_unknown(proposal: Proposal) -> None:
    """Nothing can be taken off what nobody reported."""
    if proposal.refund:
        by_sign = proposal.refund == "sign"
        reason = Reason.BAD_AMOUNT if by_sign else Reason.UNKNOWN_CONVERSION
        raise QuarantinedError(reason)


def _new_conversion(proposal: Proposal, rules: Rules) -> Conversion:
    click, offer, partner = proposal.click, proposal.offer, proposal.partner
    if click is None or offer is None or partner is None:
        raise QuarantinedError(Reason.MISSING_CLICK_ID)
    now = proposal.postback.received_at
    if offer.goals[proposal.goal].is_retired:
        raise QuarantinedError(Reason.UNKNOWN_GOAL)
    _refuse_untimely(click, offer, now, rules)
    conversion = Conversion(
        id=conversion_id_of(proposal.postback.id),
        advertiser=proposal.owner,
        offer=offer.key,
        partner=partner.key,
        goal=proposal.goal,
        click_id=click.id,
        click_class=click.click_class,
        clicked_at=click.clicked_at,
        transaction_id=proposal.transaction_id,
        status=proposal.status or offer.goals[proposal.goal].status,
        money=Money(offer.currency, Decimal(0), Decimal(0)),
        converted_at=now,
        changed_at=now,
        changes=1,
        catalog_version=rules.catalog.version,
    )
    money = worth_of(_stated(conversion, proposal.sent, rules.catalog))
    _refuse_excess(money, offer, rules)
    return conversion.but(money=money)


def _refuse_untimely(
    click: ClickFacts, offer: Offer, now: datetime, rules: Rules
) -> None:
    age = now - click.clicked_at
    if click.click_class is ClickClass.REFUSED:
        rules.object_to(Reason.REFUSED_CLICK)
    if age > offer.window:
        rules.object_to(Reason.OUTSIDE_WINDOW)
    # An id of a host whose clock is ahead has no age yet, and nobody asked for one.
    if offer.limits.min_click_age and age < offer.limits.min_click_age:
        rules.object_to(Reason.TOO_EARLY)


def _refuse_excess(money: Money, offer: Offer, rules: Rules) -> None:
    limits = offer.limits
    too_much = limits.amount is not None and (money.amount or 0) > limits.amount
    too_dear = limits.payout is not None and money.payout > limits.payout
    if too_much or too_dear:
        rules.object_to(Reason.OVER_LIMIT)


def _money_after(conversion: Conversion, proposal: Proposal, rules: Rules) -> Money:
    """What a repeated action is worth, if that is within the offer's limits."""
    money = _worth_after(conversion, proposal, rules.catalog)
    if money != conversion.money:
        _refuse_excess(money, rules.catalog.offers[conversion.offer], rules)
    return money


def _worth_after(conversion: Conversion, proposal: Proposal, catalog: Catalog) -> Money:
    """
    What a repeated action is worth: only `update` and `add` may move the amount.

    A share is owed of the new total; a fixed sum is owed once.
    """
    on_repeat = _goal(conversion, catalog).on_repeat
    if proposal.sent.is_silent or on_repeat == "status":
        return conversion.money
    if on_repeat == "add" and _is_confirmation(conversion, proposal):
        return conversion.money
    stated = _stated(conversion, proposal.sent, catalog)
    if not stated.moves_worth:
        return conversion.money
    return worth_of(stated, conversion.money, is_added=on_repeat == "add")


def _is_confirmation(conversion: Conversion, proposal: Proposal) -> bool:
    """
    Whether it confirms an amount, and adds none: it moves the status.

    An upsell has another transaction, and is added whatever status it names, unless
    one of the two is rejected.
    """
    is_rejected = Status.REJECTED in {proposal.status, conversion.status}
    if _is_other_transaction(conversion, proposal) and not is_rejected:
        return False
    return proposal.status not in {None, conversion.status}


def _stated(conversion: Conversion, sent: Sent, catalog: Catalog) -> Stated:
    """What was sent, with the terms in force and what its currency is worth."""
    offer, goal = _offer(conversion, catalog), _goal(conversion, catalog)
    payout, revenue = catalog.terms(catalog.partner(conversion.partner), offer, goal)
    # Its own, though the offer may have another one by now.
    own = conversion.money.currency
    currency = sent.currency or own
    return Stated(
        sent=sent.in_units_of(own).but(currency=currency),
        currency=own,
        rate=_rate(currency, own, catalog),
        payout=payout,
        revenue=revenue,
    )


def _rate(currency: str, into: str, catalog: Catalog) -> Decimal:
    try:
        return catalog.rate(currency, into).quantize(_TWELVE_DECIMALS)
    except NotFoundError:
        raise QuarantinedError(Reason.UNKNOWN_CURRENCY) from None


def _offer(conversion: Conversion, catalog: Catalog) -> Offer:
    """Raises NotFoundError where the catalog is older than the conversion."""
    try:
        return catalog.offers[conversion.offer]
    except KeyError:
        raise NotFoundError(f"no offer {conversion.offer}") from None


def _goal(conversion: Conversion, catalog: Catalog) -> Goal:
    try:
        return _offer(conversion, catalog).goals[conversion.goal]
    except KeyError:
        raise NotFoundError(f"no goal {conversion.goal}") from None
