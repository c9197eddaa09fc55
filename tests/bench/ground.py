"""What every measurement stands on: durable stores, a catalog, and keys."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis
from catalog_file import SMALL
from servers import OTHER_CORES

from tracker.embedded import EmbeddedPostgres, EmbeddedValkey
from tracker.store.clicks import stream_key
from tracker.store.migrations import migrate

sys.path.insert(0, str(Path(__file__).parents[1]))

# The wheel of Postgres keeps its lock where it was first started, and makes that
# folder anew for every other ground: so all of them are in one, which goes at the end.
_PLACE = tempfile.TemporaryDirectory(prefix="tracker-bench-", dir="/tmp")
Path(_PLACE.name).chmod(0o755)

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
            "TRACKER_ALLOW_DESTINATIONS": "127.0.0.0/8",
            "ACME_TOKEN": TOKEN,
        }

    def write_catalog(self, file=SMALL):
        file.write(self.folder / "partners.yaml")

    def database(self):
        return psycopg.connect(self.postgres.url, autocommit=True)

    def ask(self, query, **parameters):
        """The one row that answers it."""
        with self.database() as connection:
            return connection.execute(query, parameters).fetchone()

    def count(self, table):
        return self.ask(f"select count(*) from {table}")[0]

    def redis(self):
        return redis.Redis.from_url(self.valkey.url)

    def count_unfolded(self):
        """Clicks that Redis holds and the click log has not."""
        with self.redis() as client:
            return client.xlen(stream_key(0))


@contextmanager
def prepared(cores: Collection[int] = OTHER_CORES) -> Iterator[Ground]:
    """Durable stores beside the load, or on these cores; empty and migrated."""
    from stores import guarded, temporary_folder  # noqa: PLC0415 - needs the path above

    os.sched_setaffinity(0, cores)
    with temporary_folder(_PLACE.name) as folder, guarded(folder):
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
