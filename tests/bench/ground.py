"""What every measurement stands on: durable stores, a catalog, and keys."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis
from servers import LOAD_CORE

from tracker.embedded import EmbeddedPostgres, EmbeddedValkey
from tracker.store.migrations import migrate

sys.path.insert(0, str(Path(__file__).parents[1]))

TOKEN = "token-of-the-benchmark"
KEYS = f"0:{'5a' * 32}"


@dataclass(frozen=True)
class Ground:
    """The stores, in a folder; `environ` is what a tracker process needs of them."""

    folder: Path
    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey

    @property
    def environ(self):
        return {
            "TRACKER_DATABASE_URL": self.postgres.url,
            "TRACKER_REDIS_URL": self.valkey.url,
            "TRACKER_SECRET_KEYS": KEYS,
            "TRACKER_CATALOG": str(self.folder / "partners.yaml"),
            "TRACKER_DATA_DIR": str(self.folder / "data"),
            "TRACKER_LOG_LEVEL": "error",
            "TRACKER_ALLOW_DESTINATIONS": "127.0.0.0/8",
            "ACME_TOKEN": TOKEN,
        }

    def database(self):
        return psycopg.connect(self.postgres.url, autocommit=True)

    def redis(self):
        return redis.Redis.from_url(self.valkey.url)

    def write_catalog(self, *, partners=10, offers=10, sink_port=9):
        (self.folder / "partners.yaml").write_text(
            catalog(partners, offers, f"http://127.0.0.1:{sink_port}")
        )

    def count(self, table):
        with self.database() as connection:
            return connection.execute(f"select count(*) from {table}").fetchone()[0]


@contextmanager
def prepared() -> Iterator[Ground]:
    """Durable stores beside the load, empty and migrated."""
    from stores import temporary_folder  # noqa: PLC0415 - needs the path above

    os.sched_setaffinity(0, {LOAD_CORE})
    with temporary_folder("/tmp") as folder:
        (folder / "data").mkdir()
        postgres, valkey = EmbeddedPostgres(folder), EmbeddedValkey(folder)
        try:
            postgres.start()
            valkey.start()
            asyncio.run(migrate(postgres.url))
            yield Ground(folder, postgres, valkey)
        finally:
            valkey.stop()
            postgres.stop()


def catalog(partners, offers, sink):
    """`bestdeals` and `shoes`, which are measured, among many others."""
    return "\n".join(
        [
            "version: 1",
            "currency: USD",
            "advertisers:",
            "  acme:",
            '    auth: {token: "${ACME_TOKEN}"}',
            "offers:",
            _offer("shoes"),
            *(_offer(f"offer-{number}") for number in range(1, offers)),
            "partners:",
            _partner("bestdeals", sink),
            *(_partner(f"partner-{number}", sink) for number in range(1, partners)),
            "",
        ]
    )


def _offer(key):
    url = "https://shop.example/landing?cid={click_id}&source={partner}&s={sub1}"
    return f"""\
  {key}:
    advertiser: acme
    url: {url}
    goals:
      sale: {{payout: 8%, revenue: 12%, once_per: transaction}}"""


def _partner(key, sink):
    return f"""\
  {key}:
    offers: [shoes]
    postbacks:
      - id: sales
        url: {sink}/pb?cid={{sub1}}&payout={{payout}}&at={{changed_at}}"""
