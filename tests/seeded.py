"""
A month of a small network, as it would have been: the same month for the same seed.

Clicks go through the click log's own fold and postbacks through their own flow, at the
times they would have come, so that what the pages show is what the tracker made of it.
What partners answered is written by SQL, for nobody can wait a month for it.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, islice
from pathlib import Path

from argon2 import PasswordHasher
from seeded_catalog import CATALOG, SECRETS

from tracker.catalog import check_text, draft_catalog, load_snapshot, seal_draft
from tracker.domain.click import Click
from tracker.domain.click_id import ClickClass, ClickId, facts_of
from tracker.domain.identity import new_postback_id
from tracker.domain.offer import Status
from tracker.domain.person import Actor, Role, Standing
from tracker.domain.postback import Postback, conceal
from tracker.flow.enrichment import open_data, see
from tracker.flow.postback import accept_postbacks, hear
from tracker.flow.rollup import close_days, fold_changes
from tracker.runtime import Runtime
from tracker.store.audit import Deed
from tracker.store.catalogs import Edit
from tracker.store.clicklog import Entry, LoggedClick

DAYS = 30
PASSWORD = "correct horse battery staple"
PEOPLE = {
    "ada": Standing(Role.ADMIN, None),
    "olga": Standing(Role.OPERATOR, None),
    "vera": Standing(Role.VIEWER, None),
    "bea": Standing(Role.PARTNER, "bestdeals"),
}
AT_ONCE = 1000

# How much of the traffic each sends, and how much of it converts.
PARTNERS = {
    "bestdeals": (34, 0.034), "couponking": (22, 0.045), "searchlane": (16, 0.026),
    "reviewhub": (11, 0.052), "playloop": (9, 0.041), "mailroom": (5, 0.022),
    "studentlife": (2, 0.012), "quietcorner": (1, 0.002),
}  # fmt: skip
OFFERS = {
    "stride-shoes": 30, "pixel-raiders": 18, "lumen-green": 15, "nordbank-card": 12,
    "stride-running": 9, "pixel-farm": 8, "nordbank-savings": 7, "pixel-chess": 1,
}  # fmt: skip
GOALS = {
    "stride-shoes": {"sale": 5, "signup": 5}, "stride-running": {"signup": 1},
    "lumen-green": {"lead": 8, "contract": 2}, "nordbank-card": {"approval": 1},
    "nordbank-savings": {"deposit": 1}, "pixel-raiders": {"install": 7, "purchase": 3},
    "pixel-farm": {"install": 1}, "pixel-chess": {"install": 1},
}  # fmt: skip
SOLD = {"sale": (2500, 24000), "purchase": (199, 4999)}
"""Goals whose payout is a share of an amount, and its cents."""

# One address of each country that most visitors come from; others are near it.
NEAR = {
    "DE": "84.132.0.0", "US": "73.158.0.0", "FR": "90.12.0.0", "GB": "86.134.0.0",
    "ES": "83.44.0.0", "IT": "79.20.0.0", "NL": "84.81.0.0", "PL": "83.24.0.0",
    "SE": "81.224.0.0", "BR": "177.32.0.0", "IN": "117.192.0.0", "CA": "99.224.0.0",
    "JP": "126.60.0.0", "AU": "101.160.0.0", "MX": "187.140.0.0",
}  # fmt: skip
HOSTED = ("34.65.0.0", "52.28.0.0", "167.99.0.0")
WEIGHTS = (22, 19, 13, 11, 7, 6, 5, 4, 3, 3, 2, 2, 1, 1, 1)

_APPLE = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1"
_CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0"
_IPHONE = "iPhone; CPU iPhone OS 18_1 like Mac OS X"
AGENTS = (
    f"Mozilla/5.0 ({_IPHONE}) {_APPLE} Mobile/15E148 Safari/604.1",
    f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {_CHROME} Mobile Safari/537.36",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME} Safari/537.36",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_APPLE} Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
    f"Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) {_APPLE} Safari/604.1",
)
BOTS = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "python-requests/2.32.3",
)
SOURCES = ("newsletter", "homepage", "blog-autumn", "push", "tiktok-42", "search-brand")

HOSTILE = (
    "<script>alert(1)</script>",
    "\u202egnp.elif\u202c",
    "x" * 400,
    '"><img src=x onerror=alert(1)>',
)
"""What strangers put into labels."""


@dataclass(frozen=True)
class Size:
    """How much happens in the month."""

    clicks: int
    seed: int = 6


SMALL = Size(20_000)


async def seed(runtime: Runtime, size: Size = SMALL, *, now: datetime) -> None:
    """The month that ends `now`, in stores that hold nothing yet."""
    await put_in_force(runtime, now - timedelta(days=DAYS + 1))
    await open_data(runtime)
    month = _Month(runtime, size, now)
    await _make_partitions(runtime, now)
    clicks = sorted(month.clicks(), key=lambda one: one.facts.clicked_at)
    for some in _batches(clicks, AT_ONCE):
        await runtime.click_log.insert(some)
    await _report(runtime, month.postbacks(clicks))
    async with (
        runtime.pool.connection() as connection,
        connection.transaction(),
    ):
        for statement in _answers():
            await connection.execute(statement, {"now": now})
    await fold_changes(runtime)
    await close_days(runtime)


async def add_people(runtime: Runtime) -> None:
    """All of `PEOPLE`, each with that password, whose hash costs a test nothing."""
    stored = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    for name, standing in PEOPLE.items():
        deed = Deed(Actor("seed"), "person.added", name)
        await runtime.people.insert(name, standing, stored, deed)


async def put_in_force(runtime: Runtime, at: datetime) -> None:
    """The catalog, as every process would follow it."""
    checked = check_text(CATALOG, "partners.yaml", SECRETS)
    draft = draft_catalog(checked)
    edit = Edit(CATALOG, draft.content_hash, at, 0, draft.keys)
    await runtime.catalogs.insert(edit, partial(_sealed, draft))
    (in_force,) = await runtime.catalogs.list_in_force()
    runtime.catalog = await load_snapshot(in_force.snapshot, SECRETS)
    runtime.catalog_hash = in_force.content_hash


def _sealed(draft, version, numbers):
    return seal_draft(draft, version=version, numbers=numbers)


async def _make_partitions(runtime, now):
    days = now - timedelta(days=DAYS + 1), now + timedelta(days=7)
    tables = "clicks", "postbacks", "delivery_attempts", "delivery_archive"
    async with runtime.pool.connection() as connection:
        for table in tables:
            await connection.execute(
                "select tracker_make_partitions(%s, %s::date, %s::date)",
                [table, *days],
            )


async def _report(runtime, postbacks):
    """In order of arrival, judged as of it; no two of one conversion at once."""
    ordered = sorted(postbacks, key=lambda one: one.received_at)
    rules = runtime.rules()
    for some in _batches(ordered, 100):
        await accept_postbacks(runtime, [hear(one, rules) for one in some])


def _batches(many, size):
    remaining = iter(many)
    return iter(lambda: list(islice(remaining, size)), [])


def _answers():
    """The statements that make what partners answered, each with its semicolon."""
    text = Path(__file__).with_suffix(".sql").read_text()
    return [one for one in text.split(";\n\n") if one.strip()]


class _Month:
    """All that is left to chance, by one seed."""

    def __init__(self, runtime, size, now):
        self.runtime, self.size, self.now = runtime, size, now
        self.chance = random.Random(size.seed)
        self._orders = iter(range(10_001, 100_000))

    def clicks(self) -> Iterator[LoggedClick]:
        """Some visitors look at an offer again, a few minutes later."""
        visitors = [self._visitor() for _ in range(self.size.clicks * 3 // 4)]
        again = None
        for number in range(self.size.clicks):
            if again is None or self.chance.random() < 0.85:
                again = (self.chance.choice(visitors), *self._link(), self._moment())
            else:
                again = (*again[:3], again[3] + timedelta(minutes=7))
            yield self._click(number, *again)

    def _visitor(self):
        pick = self.chance
        agent = pick.choices(AGENTS, (34, 27, 22, 9, 4, 4))[0]
        country = pick.choices([*NEAR], WEIGHTS)[0]
        if pick.random() < 0.03:
            return self._beside(pick.choice(HOSTED)), agent
        if pick.random() < 0.04:
            return self._beside(NEAR["US"]), pick.choice(BOTS)
        return self._beside(NEAR[country]), agent

    def _beside(self, address):
        first, second, _, _ = address.split(".")
        low, high = self.chance.randrange(256), self.chance.randrange(1, 255)
        return f"{first}.{second}.{low}.{high}"

    def _link(self):
        """A partner, and an offer that it may promote."""
        pick, shares = self.chance, [one for one, _ in PARTNERS.values()]
        partner = pick.choices([*PARTNERS], shares)[0]
        terms = self.runtime.catalog.partners[partner]
        mine = [one for one in OFFERS if terms.may_promote(one)]
        return partner, pick.choices(mine, [OFFERS[key] for key in mine])[0]

    def _click(self, number, visitor, partner, offer, at):
        catalog = self.runtime.catalog
        is_paused = catalog.offers[offer].is_paused
        click_id = self.runtime.mint.mint(
            now=at,
            shard=0,
            click_class=ClickClass.REFUSED if is_paused else self._class(),
            partner_number=catalog.partners[partner].number,
            offer_number=catalog.offers[offer].number,
        )
        return self._logged(
            Click(
                id=click_id,
                catalog_version=catalog.version,
                subs=self._labels(number),
                address=visitor[0],
                user_agent=visitor[1],
                referrer=f"https://{partner}.example/",
                language="en",
                destination=f"https://{offer}.example/?cid={click_id}",
                reason="offer_paused" if is_paused else "",
            )
        )

    def _logged(self, click):
        facts = facts_of(click.id)
        seen = see(self.runtime, facts, click)
        return LoggedClick(facts, click, Entry(0, "", b"", b""), seen)

    def _class(self):
        return self.chance.choices(
            [ClickClass.VISIT, ClickClass.PREFETCH, ClickClass.HEAD], (965, 25, 10)
        )[0]

    def _labels(self, number):
        first = f"u{self.chance.randrange(16**8):08x}"
        if number % 2000 == 7:
            first = HOSTILE[number // 2000 % len(HOSTILE)]
        return (first, self.chance.choice(SOURCES), *("",) * 8)

    def _moment(self):
        """Evenings have more, nights less; the network grows by a third."""
        while True:
            back = self.chance.random() * DAYS + 1 / 24
            at = self.now - timedelta(days=back)
            by_day = 1 - abs((at.hour + at.minute / 60 + 4) % 24 - 24) / 48
            if self.chance.random() < by_day * (1 - back / DAYS / 3):
                return at

    def postbacks(self, clicks) -> Iterator[Postback]:
        """What advertisers report of these clicks, and what else comes in."""
        visits = [one for one in clicks if one.facts.click_class is ClickClass.VISIT]
        catalog = self.runtime.catalog
        keys = {one.number: key for key, one in catalog.partners.items()}
        rates = {key: rate for key, (_, rate) in PARTNERS.items()}
        bought = [
            one
            for one in visits
            if self.chance.random() < rates[keys[one.facts.partner_number]]
            and (one.seen.traffic == "visit" or self.chance.random() < 0.1)
        ]
        yield from chain.from_iterable(map(self._sale, bought))
        yield from chain.from_iterable(map(self._odd, bought[::12]))

    def _sale(self, logged) -> Iterator[Postback]:
        """A conversion, sometimes told twice, and what became of it later."""
        facts, pick = logged.facts, self.chance
        offer = self._offer_of(facts)
        goals = GOALS[offer.key]
        goal = pick.choices([*goals], [*goals.values()])[0]
        at = facts.clicked_at + timedelta(minutes=pick.expovariate(1 / 180) + 1)
        said = {"goal": goal, "transaction_id": f"A-{next(self._orders)}"}
        if goal in SOLD:
            said["amount"] = f"{pick.randrange(*SOLD[goal]) / 100:.2f}"
        yield from self._said(offer, facts.id, at, **said)
        if pick.random() < 0.06:
            yield from self._said(offer, facts.id, at + timedelta(minutes=2), **said)
        later = at + timedelta(days=pick.uniform(2, 12))
        is_open = offer.goals[goal].status is Status.PENDING
        chances = (3, 14, 3) if is_open else (24, 0, 1)
        become = pick.choices([None, "approved", "rejected"], chances)[0]
        if become:
            yield from self._said(offer, facts.id, later, status=become, **said)

    def _odd(self, logged) -> Iterator[Postback]:
        """What comes in and is not believed, each for another reason."""
        facts, pick = logged.facts, self.chance
        offer = self._offer_of(facts)
        at = facts.clicked_at + timedelta(hours=pick.uniform(1, 40))
        goal = next(iter(GOALS[offer.key]))
        said = {"goal": goal, "transaction_id": f"Q-{next(self._orders)}"}
        if goal in SOLD:
            said["amount"] = "49.90"
        forged = ClickId(facts.id[:-3] + ("abc" if facts.id[-3:] != "abc" else "xyz"))
        kind = pick.randrange(6)
        if kind == 0:
            yield from self._said(offer, facts.id, at, token="guess", **said)
        elif kind == 1:
            yield from self._said(offer, forged, at, **said)
        elif kind == 2:
            yield from self._said(offer, facts.id, at, **{**said, "goal": "order"})
        elif kind == 3:
            yield from self._said(offer, None, at, **said)
        elif kind == 4:
            yield from self._said(offer, "{click_id}", at, **said)
        else:
            yield from self._said(offer, facts.id, at, **{**said, "amount": "12,x"})

    def _said(self, offer, click_id, at, *, token=None, **said) -> Iterator[Postback]:
        """One call, unless it has not come yet."""
        if at >= self.now:
            return
        advertiser = offer.advertiser
        token = token or SECRETS[f"{advertiser.upper()}_TOKEN"]
        pairs = {"click_id": click_id, **said, "token": token}
        told = [(name, value) for name, value in pairs.items() if value is not None]
        vocabulary = self.runtime.catalog.vocabulary(advertiser)
        hidden, digest = conceal(told, vocabulary, self.runtime.hasher, "")
        yield Postback(
            id=new_postback_id(at),
            received_at=at,
            method="GET",
            path=f"/postback/{advertiser}",
            address="198.51.100.17",
            route=advertiser,
            parameters=hidden,
            token_digest=digest,
        )

    def _offer_of(self, facts):
        offers = self.runtime.catalog.offers.values()
        return next(one for one in offers if one.number == facts.offer_number)
