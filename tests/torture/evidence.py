"""What Postgres holds, all of it at one moment, read past every fault."""

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import psycopg

# `xid` and `place` tell in which order things were written.
_COLUMNS = {
    "postbacks": "xmin::text::bigint as xid, ctid::text as place, id, received_at,"
    " parameters, outcome, reason, conversion_id, catalog_version, quarantined_for,"
    " released_by",
    "conversions": "*",
    "conversion_changes": "xmin::text::bigint as xid, ctid::text as place, *",
    "deliveries": "*",
    "delivery_archive": "*",
    "delivery_attempts": "delivery_id, round, number, outcome, started_at",
    "clicks": "id, sub1, clicked_at, class",
    "lanes": "*",
    "click_collisions": "id",
    "clicks_rejected": "entry, error",
}
_TABLE = "'{0}', (select coalesce(json_agg(row), '[]') from (select {1} from {0}) row)"
_EVERYTHING = "select json_build_object('now', tracker_now(), {})::text".format(
    ", ".join(_TABLE.format(table, columns) for table, columns in _COLUMNS.items())
)


@dataclass(frozen=True)
class Evidence:
    now: str
    postbacks: list[dict]
    conversions: list[dict]
    conversion_changes: list[dict]
    deliveries: list[dict]
    delivery_archive: list[dict]
    delivery_attempts: list[dict]
    clicks: list[dict]
    lanes: list[dict]
    click_collisions: list[dict]
    clicks_rejected: list[dict]


class Witness:
    """Looks into one database directly."""

    def __init__(self, url):
        self._connection = psycopg.connect(
            url, autocommit=True, options="-c timezone=UTC"
        )

    def close(self):
        self._connection.close()

    def look(self):
        ((text,),) = self._connection.execute(_EVERYTHING)
        tables = json.loads(text, parse_float=Decimal)
        return Evidence(**tables)

    def column(self, query):
        return [row[0] for row in self._connection.execute(query)]


def moment(text):
    return datetime.fromisoformat(text)


def written(row):
    """What is sorted by it stands in the order in which it was written."""
    page, line = row["place"].strip("()").split(",")
    return row["xid"], int(page), int(line)


def money(value):
    return None if value is None else Decimal(value)
