"""
The ledger checker: what was seen from outside, against what the database says.

The load and the partners have written down, before and after everything they did,
what they attempted, were answered and heard. When all is drained the two must agree,
or it is one of six things:

- lost: a click that was redirected, or a sale that was acknowledged, is nowhere
- doubled: one action that is two conversions, or that pays more than once
- undelivered: a conversion whose partner was not told
- unexpected: an answer that the attack does not allow, or that contradicts another one
- false 2xx: a postback that was answered so, and is not on disk
- extra: a partner told once more; at least once is promised, so each must carry the
  id of a delivery that we know
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from journal import read_journal
from market import PAYOUT_PERCENT
from row import must, told

NO_ANSWER = 0
SHOWN = 3
"""Cases of each kind that are named."""


@dataclass(frozen=True)
class Redirect:
    """What a visitor was answered; `took` is counted from when it was to come."""

    visit: int
    partner: str
    status: int
    click: str
    due: float
    took: float


@dataclass(frozen=True)
class Sale:
    transaction: str
    click: str
    partner: str
    amount: Decimal


@dataclass(frozen=True)
class Answer:
    """What an advertiser was told of a transaction."""

    transaction: str
    status: int
    verdict: str = ""
    postback: str = ""
    conversion: str = ""
    tried_at: float = 0.0
    took: float = 0.0

    @property
    def is_acknowledged(self):
        return 200 <= self.status < 300


@dataclass(frozen=True)
class Hit:
    """What a partner was told."""

    delivery: str
    transaction: str
    at: float = 0.0


@dataclass(frozen=True)
class Evidence:
    """What was seen from outside; `asked_at` is when advertisers tried, each time."""

    redirects: list[Redirect] = field(default_factory=list)
    sales: Mapping[str, Sale] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    asked_at: list[float] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)

    def latency(self, after=0.0, before=float("inf"), share=0.99):
        """So many of the redirects in this time took no longer, in milliseconds."""
        took = sorted(one.took for one in self.redirects if after <= one.due < before)
        return took[min(len(took) - 1, int(len(took) * share))] * 1000 if took else 0.0


@dataclass(frozen=True)
class Booked:
    """A conversion; `created` counts the changes that say they made it."""

    id: str
    transaction: str
    click: str
    partner: str
    payout: Decimal
    created: int = 1


@dataclass(frozen=True)
class Owed:
    """A delivery, owed or finished; `waits_for` is why it is held."""

    id: str
    conversion: str
    waits_for: str = ""


@dataclass(frozen=True)
class Books:
    """What the database says, and which clicks the logs give up by their ids."""

    clicks: frozenset[str] = frozenset()
    counted_lost: frozenset[str] = frozenset()
    postbacks: frozenset[str] = frozenset()
    conversions: list[Booked] = field(default_factory=list)
    deliveries: list[Owed] = field(default_factory=list)


@dataclass(frozen=True)
class Allowed:
    """The statuses that an attack excuses; 0 is no answer at all."""

    redirects: frozenset[int] = frozenset({302})
    postbacks: frozenset[int] = frozenset({200, 202})

    def also(self, *statuses):
        some = frozenset(statuses)
        return Allowed(self.redirects | some, self.postbacks | some)


NOTHING_ODD = Allowed()


@dataclass
class Tally:
    """The cases of each kind, each in a word; `strangers` are extras without a name."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    undelivered: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    false_2xx: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    counted_lost: int = 0

    def findings(self):
        """All six, in every run; then what belongs to the picture."""
        yield _none("lost", self.lost)
        yield _none("doubled", self.doubled)
        yield _none("undelivered", self.undelivered)
        yield _none("unexpected", self.unexpected)
        yield _none("false 2xx", self.false_2xx)
        named = len(self.extra) - len(self.strangers)
        figure = f"{len(self.extra)}, {named} with a known delivery id"
        yield must("extra", figure, not self.strangers)
        yield told("clicks counted lost", self.counted_lost)


def check(evidence: Evidence, books: Books, allowed: Allowed) -> Tally:
    """Everything that the two disagree about, once nothing waits any more."""
    tally = Tally(counted_lost=len(books.counted_lost))
    tally.lost += _lost_clicks(evidence, books)
    tally.lost += _lost_sales(evidence, books)
    tally.doubled += _doubled(evidence, books)
    tally.undelivered += _undelivered(evidence, books)
    tally.unexpected += _bad_answers(evidence, allowed)
    tally.unexpected += _contradictions(evidence)
    tally.unexpected += _misattributed(evidence, books)
    tally.false_2xx += _false_2xx(evidence, books)
    known = {one.id for one in books.deliveries}
    tally.strangers += [
        hit.delivery for hit in evidence.hits if hit.delivery not in known
    ]
    tally.extra += _extra(evidence) + tally.strangers
    return tally


def _lost_clicks(evidence, books):
    kept = books.clicks | books.counted_lost
    return [
        one.click for one in evidence.redirects if one.click and one.click not in kept
    ]


def _lost_sales(evidence, books):
    kept = {one.transaction for one in books.conversions}
    acknowledged = {one.transaction for one in evidence.answers if one.is_acknowledged}
    return sorted(acknowledged - kept)


def _doubled(evidence, books):
    made = Counter(one.transaction for one in books.conversions)
    yield from (f"{name} is {n} conversions" for name, n in made.items() if n > 1)
    for one in books.conversions:
        sale = evidence.sales.get(one.transaction)
        if one.created != 1:
            yield f"{one.id} was created {one.created} times"
        if sale and one.payout > _payout(sale):
            yield f"{one.id} pays {one.payout}, not {_payout(sale)}"
    told_by = defaultdict(set)
    for hit in evidence.hits:
        told_by[hit.transaction].add(hit.delivery)
    yield from (
        f"{name} told as {ids}" for name, ids in told_by.items() if len(ids) > 1
    )


def _payout(sale):
    return (sale.amount * PAYOUT_PERCENT / 100).quantize(
        Decimal("0.01"), "ROUND_HALF_UP"
    )


def _undelivered(evidence, books):
    """Who needs details of a click that was counted lost is excused."""
    heard = {hit.delivery for hit in evidence.hits}
    owed = {one.conversion: one for one in books.deliveries}
    for one in books.conversions:
        delivery = owed.get(one.id)
        if delivery is None:
            yield f"{one.id} owes nobody"
        elif delivery.id not in heard and not _is_excused(delivery, one, books):
            yield f"{delivery.id} {delivery.waits_for}".strip()


def _is_excused(delivery, conversion, books):
    is_lost = conversion.click in books.counted_lost
    return is_lost and delivery.waits_for == "click_details"


def _bad_answers(evidence, allowed):
    for one in evidence.redirects:
        if one.status not in allowed.redirects or (one.status == 302 and not one.click):
            yield f"visit {one.visit} was answered {one.status}"
    for one in evidence.answers:
        if one.status not in allowed.postbacks or (
            one.is_acknowledged and not one.postback
        ):
            yield f"{one.transaction} was answered {one.status} {one.verdict}".strip()
    acknowledged = {one.transaction for one in evidence.answers if one.is_acknowledged}
    yield from (
        f"{name} was never acknowledged"
        for name in evidence.sales.keys() - acknowledged
    )


def _contradictions(evidence):
    """One transaction is accepted once, and is one conversion, whoever asks."""
    by_transaction = defaultdict(list)
    for one in evidence.answers:
        by_transaction[one.transaction].append(one)
    for name, answers in by_transaction.items():
        accepted = [one for one in answers if one.verdict == "accepted"]
        conversions = {one.conversion for one in answers if one.conversion}
        if len(accepted) > 1 or len(conversions) > 1:
            yield f"{name} was told of {len(accepted)} × accepted, as {conversions}"
    ids = Counter(one.click for one in evidence.redirects if one.click)
    yield from (f"{click} was given {n} times" for click, n in ids.items() if n > 1)


def _misattributed(evidence, books):
    for one in books.conversions:
        sale = evidence.sales.get(one.transaction)
        if sale is None:
            yield f"{one.id} is of a sale that nobody reported"
        elif (one.click, one.partner) != (sale.click, sale.partner):
            yield f"{one.id} is of {one.partner}, not of {sale.partner}"


def _false_2xx(evidence, books):
    for one in evidence.answers:
        if one.is_acknowledged and one.postback not in books.postbacks:
            yield f"{one.transaction} {one.verdict} {one.postback}"


def _extra(evidence):
    times = Counter(hit.delivery for hit in evidence.hits)
    return [delivery for delivery, n in times.items() for _ in range(n - 1)]


def _none(what, cases):
    """None must there be; else the first of them by name."""
    shown = ", ".join(map(str, cases[:SHOWN]))
    return must(what, f"{len(cases)} ({shown})" if cases else 0, not cases)


# ----------------------------------------------------------------------- reading


def read_evidence(folder: Path) -> Evidence:
    """From what the load and the partners wrote down."""
    visits, sales, redirects, answers, asked_at = {}, {}, [], [], []
    for what, facts in read_journal(folder / "traffic.jsonl"):
        if what == "visit":
            visits[facts["visit"]] = facts
        elif what == "redirect":
            redirects.append(_redirect(facts, visits[facts["visit"]]))
        elif what == "sale":
            sales[facts["transaction_id"]] = _sale(facts)
        elif what == "report":
            asked_at.append(facts["at"])
        elif what == "answer":
            answers.append(_answer(facts))
    return Evidence(redirects, sales, answers, asked_at, read_hits(folder))


def read_hits(folder: Path) -> list[Hit]:
    notes = folder / "hits.jsonl"
    return [_hit(facts) for _, facts in read_journal(notes)] if notes.exists() else []


def read_books(connection, logs: Iterable[Path]) -> Books:
    """From the database, and from the logs of all processes."""
    return Books(
        clicks=frozenset(_column(connection, "select id from clicks")),
        counted_lost=frozenset(
            event["click_id"] for event in list_events(logs, "click.lost")
        ),
        postbacks=frozenset(_column(connection, "select id from postbacks")),
        conversions=_conversions(connection),
        deliveries=_deliveries(connection),
    )


def _redirect(facts, visit):
    return Redirect(
        facts["visit"],
        visit["partner"],
        facts["status"],
        facts["click"],
        visit["due"],
        facts["at"] - visit["due"],
    )


def _sale(facts):
    return Sale(
        facts["transaction_id"],
        facts["click_id"],
        facts["partner"],
        Decimal(facts["amount"]),
    )


def _answer(facts):
    said = _object(facts["said"])
    return Answer(
        facts["transaction"],
        facts["status"],
        said.get("status") or "",
        said.get("postback_id") or "",
        said.get("conversion_id") or "",
        facts["tried_at"],
        facts["at"] - facts["tried_at"],
    )


def _hit(facts):
    return Hit(facts["delivery"], facts.get("tx", ""), facts["at"])


def _object(text):
    try:
        read = json.loads(text)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def list_events(logs, name):
    """Every such event, from logs that say other things too."""
    for log in logs:
        for line in log.read_bytes().splitlines():
            if name.encode() in line and _object(line).get("event") == name:
                yield _object(line)


def _column(connection, query):
    return [row[0] for row in connection.execute(query)]


def _conversions(connection):
    rows = connection.execute(
        "select id, transaction_id, click_id, partner, payout, ("
        "  select count(*) from conversion_changes"
        "  where conversion_id = conversions.id and kind = 'created') "
        "from conversions"
    )
    return [Booked(*row) for row in rows]


def _deliveries(connection):
    rows = connection.execute(
        "select id, conversion_id, coalesce(held_reason, 'pending') from deliveries "
        "union all select id, conversion_id, outcome from delivery_archive"
    )
    return [Owed(*row) for row in rows]
