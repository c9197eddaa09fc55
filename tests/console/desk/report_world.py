"""Days of clicks and conversions, and what a report of them has to say."""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from tracker.domain.click_id import ClickClass
from tracker.domain.money import to_minor_unit
from tracker.domain.report import DIMENSIONS, MEASURES
from tracker.flow.rollup import close_days, fold_changes

NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)
FIRST = datetime(2026, 10, 20, tzinfo=UTC)
TRAFFIC = {
    "visit": 0, "bot": 0, "datacenter": 0, "head": 1, "prefetch": 2, "refused": 3,
    "repeated": 5,
}  # fmt: skip
STATUSES = ("pending", "approved", "rejected")
KEYS = ("partner", "offer", "advertiser")
CHANGE = """
update conversions
   set status = %(status)s, payout = %(payout)s, revenue = %(revenue)s,
       changes = %(changes)s
 where id = %(id)s
"""


async def _insert(connection, table, rows, columns=()):
    names = list(columns or rows[0])
    values = ", ".join(f"%({name})s" for name in names)
    statement = f"insert into {table} ({', '.join(names)}) values ({values})"
    await connection.cursor().executemany(statement, rows)


def _told(row, kind):
    """A change that left a conversion as it is now."""
    shared = ("status", "amount", "payout", "revenue", "catalog_version", "changed_at")
    return {
        **{name: row[name] for name in shared},
        "id": f"ch_{row['id']}_{row['changes']}",
        "conversion_id": row["id"],
        "number": row["changes"],
        "kind": kind,
        "operator": "ada",
        "written_at": row["changed_at"],
    }


class World:
    """Some days of clicks and conversions, as the raw tables have them."""

    def __init__(self, runtime, seed):
        self.random = random.Random(seed)
        self.runtime = runtime
        self.clicks = {}
        self.conversions = []

    async def make(self, clicks=400):
        for _ in range(clicks):
            self._click()
        for n in range(clicks // 2):
            self._convert(n, self.random.choice(list(self.clicks.values())))
        days = (FIRST.date(), NOW.date() + timedelta(days=1))
        async with self.runtime.pool.connection() as connection:
            await connection.execute(
                "select tracker_make_partitions('clicks', %s, %s)", days
            )
            clicks = list(self.clicks.values())
            columns = [one for one in clicks[0] if one not in KEYS]
            await _insert(connection, "clicks", clicks, columns)
            await _insert(connection, "conversions", self.conversions)
            told = [_told(row, "created") for row in self.conversions]
            await _insert(connection, "conversion_changes", told)
        await self._count()

    def _click(self):
        pick = self.random.choice
        at = FIRST + timedelta(seconds=self.random.randrange(15 * 86400))
        traffic = pick([*TRAFFIC, "visit", "visit", "visit"])
        partner, offer = pick(("bestdeals", "quiet")), pick(("shoes", "hats", "abroad"))
        catalog = self.runtime.catalog
        number = catalog.partners[partner].number, catalog.offers[offer].number
        click_id = self.runtime.mint.mint(
            now=at,
            shard=0,
            click_class=ClickClass(TRAFFIC[traffic]),
            partner_number=number[0],
            offer_number=number[1],
        )
        row = {
            "day": at.date(), "id": click_id, "clicked_at": at,
            "class": TRAFFIC[traffic], "partner_number": number[0],
            "offer_number": number[1], "catalog_version": 1,
            "sub1": pick(("", None, "a", "=1+1", "ünï")), "sub2": pick(("x", "y")),
            "country": pick(("DE", "US", "")), "device": pick(("phone", "desktop")),
            "os": pick(("iOS", "Android", "")), "browser": pick(("Safari", "Chrome")),
            "traffic": traffic,
            "is_unique": traffic == "visit" and self.random.random() < 0.5,
        }  # fmt: skip
        advertiser = catalog.offers[offer].advertiser
        named = {"partner": partner, "offer": offer, "advertiser": advertiser}
        self.clicks[click_id] = {**row, **named}

    def _convert(self, n, click):
        pick = self.random.choice
        at = click["clicked_at"] + timedelta(seconds=self.random.randrange(3 * 86400))
        row = {
            "id": f"cv_{n:05}", "advertiser": click["advertiser"],
            "offer": click["offer"], "partner": click["partner"],
            "click_id": click["id"], "goal": pick(("lead", "sale")),
            "status": pick(STATUSES), "currency": pick(("USD", "EUR")),
            "amount": pick((None, self._sum())), "payout": self._sum(),
            "revenue": self._sum(), "rate": 1, "click_class": click["class"],
            "clicked_at": click["clicked_at"], "converted_at": at, "changed_at": at,
            "changes": 1, "catalog_version": 1,
        }  # fmt: skip
        self.conversions.append(row)

    def _sum(self):
        return Decimal(self.random.randrange(100_00)) / 100

    async def change(self, times=60):
        """Some conversions get another status, and other sums."""
        changed = self.random.sample(self.conversions, times)
        for row in changed:
            row["status"] = self.random.choice(STATUSES)
            row["payout"], row["revenue"] = self._sum(), self._sum()
            row["changes"] += 1
        async with self.runtime.pool.connection() as connection:
            await connection.cursor().executemany(CHANGE, changed)
            told = [_told(row, "status") for row in changed]
            await _insert(connection, "conversion_changes", told)
        await fold_changes(self.runtime)

    async def _count(self):
        await fold_changes(self.runtime)
        for n in range(16):
            first = FIRST + timedelta(days=n)
            await self.runtime.rollups.rebuild_clicks(first, first + timedelta(days=1))
        await close_days(self.runtime)

    def expected(self, query, rates):
        """The rows of a report, reckoned one click and one conversion at a time."""
        by_currency = "currency" in query.by
        sums = defaultdict(lambda: defaultdict(Decimal))

        def add(row, at, **added):
            keys = self._keys(query, row, at)
            if keys is not None:
                for name, value in added.items():
                    sums[keys][name] += value
                    sums[None][name] += value

        for row in self.clicks.values():
            add(row, row["clicked_at"], **_counted(row, self._proves(row)))
        for row in self.conversions:
            whole = {**self.clicks[row["click_id"]], **row}
            at = row["clicked_at" if query.basis == "click" else "converted_at"]
            keys = self._keys(query, whole, at)
            if keys is None:
                continue
            rate = rates[row["currency"]]
            for place, worth in ((keys, 1 if by_currency else rate), (None, rate)):
                for name, value in _converted(row, worth).items():
                    sums[place][name] += value
        return {keys: _derived(found) for keys, found in sums.items()}

    def _proves(self, click):
        return click["traffic"] != "visit" and any(
            one["click_id"] == click["id"] and one["status"] != "rejected"
            for one in self.conversions
        )

    def _keys(self, query, row, at):
        local = at.astimezone(ZoneInfo(query.days.zone))
        if local.date() not in query.days:
            return None
        for name, values in query.filters.items():
            applies = "goal" in row or not DIMENSIONS[name].is_of_conversion
            if applies and (row.get(name) or "") not in values:
                return None
        return tuple(_key(name, row, local) for name in query.by)


def _key(name, row, local):
    if name == "hour":
        return local.replace(minute=0, second=0, microsecond=0).isoformat(
            timespec="minutes"
        )
    if name == "week":
        return f"{local.date() - timedelta(days=local.weekday())}"
    if name in {"day", "month"}:
        return f"{local:%Y-%m-%d}" if name == "day" else f"{local:%Y-%m}"
    if DIMENSIONS[name].is_of_conversion and "goal" not in row:
        return None
    return row.get(name) or ""


def _counted(row, is_proven):
    """What one click adds."""
    traffic = row["traffic"]
    is_bot = traffic in {"bot", "datacenter"}
    return {
        "clicks": traffic == "visit" or is_proven,
        "unique": row["is_unique"],
        "bots": is_bot and not is_proven,
        "refused": traffic == "refused" and not is_proven,
        "other": traffic in {"head", "prefetch", "repeated"} and not is_proven,
    }


def _converted(row, rate):
    status = row["status"]
    counts = {one: status == one for one in STATUSES}
    if status == "rejected":
        return counts
    sums = {name: (row[name] or 0) * rate for name in ("amount", "revenue", "payout")}
    paid = {f"approved_{name}": sums[name] for name in ("revenue", "payout")}
    return {**counts, **sums, **(paid if status == "approved" else {})}


def _derived(found):
    made = {name: found[name] for name in MEASURES if name in found}
    made["conversions"] = found["pending"] + found["approved"]
    made["profit"] = found["revenue"] - found["payout"]
    made["margin"] = _divided(made["profit"], found["revenue"])
    made["cr"] = _divided(made["conversions"], found["clicks"])
    made["epc"] = _divided(found["payout"], found["clicks"])
    made["rpc"] = _divided(found["revenue"], found["clicks"])
    return {name: _rounded(name, made.get(name, Decimal())) for name in MEASURES}


def _divided(one, other):
    return one / other if other else None


def _rounded(name, value):
    """Money to the cent, all of it in currencies of two decimals."""
    if value is None or MEASURES[name].kind == "count":
        return value
    places = 2 if MEASURES[name].kind == "money" else 4
    return _half_up(value, places)


def _half_up(value, places):
    scaled = to_minor_unit(value.scaleb(places - 2), "USD")
    return scaled.scaleb(2 - places)
