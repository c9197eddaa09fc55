"""How many bytes a click takes, wherever it is kept."""

from dataclasses import dataclass

from table import at_most, judged

HOT = at_most(700, 450, " bytes")
UNFOLDED = at_most(1250, 800, " bytes")
LOGGED = at_most(650, 450, " bytes")

_TABLE_BYTES = """
select coalesce(sum(pg_total_relation_size(relid)), 0)::bigint
  from pg_partition_tree('clicks')
"""


@dataclass(frozen=True)
class Sizes:
    """Bytes in use at a moment."""

    redis: int
    table: int


def measure_sizes(ground):
    """Redis' own figure, and the click log with its indexes, unvacuumed as it is."""
    with ground.redis() as client:
        used = client.info("memory")["used_memory"]
    return Sizes(used, ground.ask(_TABLE_BYTES)[0])


def size_rows(empty, unfolded, folded, clicks):
    """What each of so many clicks took: before the fold and after it."""
    yield judged(
        "bytes per click, hot in Redis",
        (folded.redis - empty.redis) / clicks,
        HOT,
        f"used_memory, {clicks:,} clicks, all folded",
    )
    yield judged(
        "bytes per click, not yet folded",
        (unfolded.redis - empty.redis) / clicks,
        UNFOLDED,
        "the same with its entry in the stream",
    )
    yield judged(
        "bytes per click, in Postgres with indexes",
        (folded.table - empty.table) / clicks,
        LOGGED,
        "pg_total_relation_size, not vacuumed",
    )
