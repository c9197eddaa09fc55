"""
What must be true: the contract's rules, told a second time, from DESIGN.md alone.

Nothing here is the product's: a rule that both tell in the same wrong way can only be
wrong in the contract.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from ipaddress import ip_address, ip_network

from trade import RATES, Book

HTTP = {
    "": 200,
    "repeated": 200,
    "stale_status": 200,
    "other_transaction": 200,
    "missing_token": 401,
    "bad_token": 401,
    "ip_not_allowed": 403,
    "wrong_advertiser": 403,
    "unknown_advertiser": 404,
    "unknown_click": 404,
    "forged_click": 404,
    "transaction_conflict": 409,
    "outside_window": 410,
    "missing_click_id": 422,
    "missing_transaction_id": 422,
    "missing_goal": 422,
    "missing_amount": 422,
    "unfilled_macro": 422,
    "bad_amount": 422,
    "unknown_goal": 422,
    "unknown_status": 422,
    "unknown_currency": 422,
    "refused_click": 422,
    "over_limit": 422,
}
"""The status of an answer, by its reason."""

AUTHENTICATION = {"missing_token", "bad_token", "ip_not_allowed"}
WAIVABLE = AUTHENTICATION | {
    "wrong_advertiser",
    "outside_window",
    "refused_click",
    "over_limit",
}
STATUSES = ("pending", "approved", "rejected")
MOVES = {
    ("pending", "approved"),
    ("pending", "rejected"),
    ("approved", "rejected"),
}


@dataclass(frozen=True)
class Click:
    """A click as its visitor knows it."""

    id: str
    partner: str
    offer: str
    clicked_at: datetime
    sub1: str
    is_refused: bool = False


@dataclass(frozen=True)
class Report:
    """What an advertiser's server says; None is not said. `click` is its id as sent."""

    route: str | None
    token: str | None
    click: str | None
    goal: str | None = None
    transaction: str | None = None
    status: str | None = None
    amount: str | None = None
    currency: str | None = None
    revenue: str | None = None
    address: str = "127.0.0.1"


@dataclass
class Change:
    """One thing that happened to a conversion; `cause` names who made it."""

    number: int
    kind: str
    old_status: str | None
    status: str
    amount: Decimal | None
    payout: Decimal
    revenue: Decimal
    transaction: str | None
    cause: str
    at: datetime
    version: int
    owed: frozenset[tuple[str, str]]


@dataclass(eq=False)
class Conversion:
    """An action; `id` is the product's name for it, once it is known."""

    owner: str
    click: Click
    goal: str
    status: str
    transaction: str | None
    converted_at: datetime
    changed_at: datetime
    amount: Decimal | None = None
    payout: Decimal = Decimal(0)
    revenue: Decimal = Decimal(0)
    id: str = ""
    applied: set[tuple] = field(default_factory=set)
    changes: list[Change] = field(default_factory=list)


@dataclass(frozen=True)
class Verdict:
    outcome: str
    reason: str = ""
    conversion: Conversion | None = None


@dataclass(frozen=True)
class Case:
    """A report with what it is judged by: `book` is in force as `version`."""

    report: Report
    at: datetime
    book: Book
    version: int
    cause: str
    waived: str | None = None


class RefusedError(Exception):
    """Not believed; the reason is its argument."""


class LedgerModel:
    """Hears what happened, in the order it was decided, and knows what then stands."""

    def __init__(self):
        self.clicks = {}
        self.conversions = []
        self._holders = {}

    def add_click(self, click):
        self.clicks[click.id] = click

    def hear(self, case):
        """What becomes of a report; it takes effect here."""
        try:
            return self._judge(case)
        except RefusedError as refused:
            return Verdict("quarantined", str(refused))

    def move(self, conversion, status, case):
        """An operator sets the status; any other one may follow."""
        self._change(conversion, case, status, _worth(conversion))

    def correct(self, conversion, amount, case):
        """An operator sets the amount; payout and revenue follow."""
        worth = _price(conversion, amount, None, case.book)
        self._change(conversion, case, conversion.status, worth)

    # ------------------------------------------------------------ is it believed?

    def _judge(self, case):
        report, book = case.report, case.book
        _demand(report.route in {None, *book.advertisers}, "unknown_advertiser")
        _demand("{" not in (report.transaction or ""), "unfilled_macro")
        click = self._click(report)
        speaker = report.route or book.offers[click.offer].advertiser
        _authenticate(case, book.advertisers[speaker])
        if click and book.offers[click.offer].advertiser != speaker:
            _object(case, "wrong_advertiser")
        goal = _goal(report, click, speaker, book)
        if report.status == "ignored":
            return Verdict("ignored")
        _demand(report.status in {None, *STATUSES}, "unknown_status")
        for sent in (report.amount, report.revenue):
            _demand(sent is None or _is_amount(sent), "bad_amount")
        _demand((report.currency or "USD").upper() in RATES, "unknown_currency")
        owner = book.offers[click.offer].advertiser if click else speaker
        keys = [(owner, key) for key in _keys(case, click, goal)]
        return self._decide(case, click, goal, keys)

    def _click(self, report):
        if report.click is None:
            is_enough = report.route is not None and report.transaction is not None
            _demand(is_enough, "missing_click_id")
            return None
        click = self.clicks.get(report.click.lower())
        is_ours = len(report.click) == 32
        _demand(click, "forged_click" if is_ours else "unknown_click")
        return click

    # ------------------------------------------------------- what does it change?

    def _decide(self, case, click, goal, keys):
        found = [self._holders[key] for key in keys if key in self._holders]
        is_one = all(click in {None, conversion.click} for conversion in found)
        _demand(is_one, "transaction_conflict")
        if not found:
            return self._create(case, click, goal, keys)
        return self._repeat(case, found[0], keys)

    def _create(self, case, click, goal, keys):
        _demand(click, "missing_click_id")
        offer = case.book.offers[click.offer]
        if click.is_refused:
            _object(case, "refused_click")
        if case.at - click.clicked_at > offer.window:
            _object(case, "outside_window")
        conversion = Conversion(
            owner=keys[0][0],
            click=click,
            goal=goal,
            status=case.report.status or offer.goals[goal].status,
            transaction=case.report.transaction,
            converted_at=case.at,
            changed_at=case.at,
        )
        worth = _price(conversion, _amount(case), _stated(case), case.book)
        _refuse_excess(worth, case, offer)
        self.conversions.append(conversion)
        self._hold(keys, conversion)
        self._change(conversion, case, conversion.status, worth)
        return Verdict("accepted", "", conversion)

    def _repeat(self, case, conversion, keys):
        report = case.report
        terms = case.book.offers[conversion.click.offer].goals[conversion.goal]
        if _fingerprint(case, conversion.goal) in conversion.applied:
            return self._learn(case, conversion, keys, "repeated")
        named = {report.transaction, conversion.transaction} - {None}
        if terms.on_repeat != "add" and len(named) > 1:
            return Verdict("duplicate", "other_transaction", conversion)
        if _is_behind(case, conversion, terms):
            return self._learn(case, conversion, keys, "stale_status")
        status = report.status or conversion.status
        worth = _worth_after(case, conversion, terms)
        if (status, worth) == (conversion.status, _worth(conversion)):
            return self._learn(case, conversion, keys, "repeated")
        if worth != _worth(conversion):
            _refuse_excess(worth, case, case.book.offers[conversion.click.offer])
        self._learn(case, conversion, keys)
        self._change(conversion, case, status, worth)
        return Verdict("updated", "", conversion)

    def _learn(self, case, conversion, keys, reason=""):
        """The first transaction that is named for a conversion is its own."""
        self._hold(keys, conversion)
        conversion.transaction = conversion.transaction or case.report.transaction
        return Verdict("duplicate", reason, conversion)

    def _hold(self, keys, conversion):
        for key in keys:
            self._holders.setdefault(key, conversion)

    def _change(self, conversion, case, status, worth):
        old = conversion.status if conversion.changes else None
        kind = "created" if old is None else "amount" if status == old else "status"
        conversion.status = status
        conversion.amount, conversion.payout, conversion.revenue = worth
        conversion.changed_at = max(conversion.changed_at, case.at)
        change = Change(
            number=len(conversion.changes) + 1,
            kind=kind,
            old_status=old,
            status=status,
            amount=conversion.amount,
            payout=conversion.payout,
            revenue=conversion.revenue,
            transaction=conversion.transaction,
            cause=case.cause,
            at=case.at,
            version=case.version,
            owed=frozenset(_owed(conversion, kind, old, case.book)),
        )
        conversion.changes.append(change)
        if case.report is not None:
            conversion.applied.add(_fingerprint(case, conversion.goal))


def _demand(holds, reason):
    if not holds:
        raise RefusedError(reason)


def _object(case, reason):
    _demand(case.waived == reason, reason)


def _authenticate(case, advertiser):
    address = ip_address(case.report.address)
    if advertiser.networks and not any(
        address in ip_network(network) for network in advertiser.networks
    ):
        _object(case, "ip_not_allowed")
    if case.report.token is None:
        _object(case, "missing_token")
    elif case.report.token != advertiser.token:
        _object(case, "bad_token")


def _goal(report, click, speaker, book):
    offers = [
        offer
        for key, offer in book.offers.items()
        if (key == click.offer if click else offer.advertiser == speaker)
    ]
    if report.goal is not None:
        is_known = any(report.goal in offer.goals for offer in offers)
        _demand(is_known, "unknown_goal")
        return report.goal
    defaults = {goal for offer in offers for goal in offer.default_goal}
    _demand(len(defaults) == 1, "missing_goal")
    return defaults.pop()


def _keys(case, click, goal):
    """The key of the action, and of the transaction that it was reported by."""
    transaction = case.report.transaction
    if click is None:
        return [("transaction", goal, transaction)]
    terms = case.book.offers[click.offer].goals[goal]
    if terms.once_per == "postback":
        return [("postback", case.cause)]
    if terms.once_per == "click":
        by_transaction = [("transaction", goal, transaction)] if transaction else []
        return [("click", goal, click.id), *by_transaction]
    _demand(transaction, "missing_transaction_id")
    if terms.scope == "click":
        return [("click-transaction", goal, click.id, transaction)]
    return [("transaction", goal, transaction)]


def _is_behind(case, conversion, terms):
    """A postback older than the change that it would undo changes nothing."""
    is_older = case.at < conversion.changed_at
    wanted = case.report.status
    if wanted in {None, conversion.status}:
        return is_older and terms.on_repeat == "update"
    owner = case.book.advertisers[case.report.route or conversion.owner]
    may_reopen = owner.reopen and conversion.status == "rejected"
    return is_older or not (may_reopen or (conversion.status, wanted) in MOVES)


def _worth(conversion):
    return conversion.amount, conversion.payout, conversion.revenue


def _worth_after(case, conversion, terms):
    amount = _amount(case)
    statuses = {case.report.status, conversion.status}
    named = {case.report.transaction, conversion.transaction} - {None}
    is_upsell = len(named) > 1 and "rejected" not in statuses
    moves = not is_upsell and case.report.status not in {None, conversion.status}
    is_silent = amount is None or terms.on_repeat == "status"
    if is_silent or (terms.on_repeat == "add" and moves):
        return _worth(conversion)
    stated = _stated(case)
    if terms.on_repeat == "add":
        amount += conversion.amount or 0
        stated = None if stated is None else stated + conversion.revenue
    is_same = _round(amount, "0.000001") == conversion.amount
    if is_same and stated in {None, conversion.revenue}:
        return _worth(conversion)
    return _price(conversion, amount, stated, case.book)


def _price(conversion, amount, stated, book):
    """What it is worth: the partner's own payout, else the goal's."""
    click, goal = conversion.click, conversion.goal
    terms = book.offers[click.offer].goals[goal]
    own = book.partners[click.partner].own.get((click.offer, goal))
    payout = _earned(own or terms.payout, amount)
    revenue = _earned(terms.revenue, amount) if stated is None else stated
    kept = None if amount is None else _round(amount, "0.000001")
    return kept, payout, revenue


def _earned(rate, amount):
    if not rate.endswith("%"):
        return _round(Decimal(rate), "0.01")
    _demand(amount is not None, "missing_amount")
    return _round(amount * Decimal(rate[:-1]) / 100, "0.01")


def _round(value, to):
    return value.quantize(Decimal(to), rounding=ROUND_HALF_UP)


def _is_amount(text):
    try:
        return Decimal(text) >= 0
    except InvalidOperation:
        return False


def _in_dollars(text, case):
    rate = RATES[(case.report.currency or "USD").upper()]
    return None if text is None else Decimal(text) * rate


def _amount(case):
    return _in_dollars(case.report.amount, case)


def _stated(case):
    revenue = _in_dollars(case.report.revenue, case)
    return None if revenue is None else _round(revenue, "0.01")


def _refuse_excess(worth, case, offer):
    if offer.most is not None and (worth[0] or 0) > offer.most:
        _object(case, "over_limit")


def _fingerprint(case, goal):
    """Equal for reports that say the same."""
    report = case.report
    sums = [None if s is None else Decimal(s) for s in (report.amount, report.revenue)]
    click = report.click and report.click.lower()
    return (
        goal,
        report.status,
        click,
        report.transaction,
        report.currency,
        *sums,
    )


def _owed(conversion, kind, old_status, book):
    """Partner and postback of every call that the change owes."""
    partner = book.partners[conversion.click.partner]
    for wish in partner.wishes:
        is_listed = not wish.goals or conversion.goal in wish.goals
        is_entered = conversion.status in (wish.statuses or STATUSES)
        moved = wish.changes if kind == "amount" else conversion.status != old_status
        if is_listed and is_entered and moved:
            yield conversion.click.partner, wish.id
