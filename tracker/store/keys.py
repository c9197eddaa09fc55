"""Which signing keys belong to this database; only their fingerprints are kept."""

from collections.abc import Mapping

from tracker.domain.errors import SettingsError
from tracker.store.postgres import Pool, transaction

_INSERT = """
insert into secret_keys (number, fingerprint)
select * from unnest(%(numbers)s::smallint[], %(fingerprints)s::bytea[])
 order by 1
    on conflict (number) do nothing
"""

_LIST_OTHER = """
select secret_keys.number
  from secret_keys
  join unnest(%(numbers)s::smallint[], %(fingerprints)s::bytea[])
    as ours (number, fingerprint) on ours.number = secret_keys.number
 where secret_keys.fingerprint <> ours.fingerprint
 order by 1
"""


class KeyStore:
    """The first process to bring a key makes it the one of its number."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def insert(self, fingerprints: Mapping[int, bytes]) -> None:
        """
        Adds the keys that are new.

        Raises SettingsError for a number that stands for another key already: two
        processes with different keys would call each other's click ids forged.
        """
        columns = {
            "numbers": list(fingerprints),
            "fingerprints": list(fingerprints.values()),
        }
        async with transaction(self._pool) as connection:
            await connection.execute(_INSERT, columns)
            cursor = await connection.execute(_LIST_OTHER, columns)
            others = [str(number) for (number,) in await cursor.fetchall()]
        if others:
            raise SettingsError(
                f"TRACKER_SECRET_KEYS: key {', '.join(others)} is not the one that"
                " this database knows; give the new key another number"
            )
