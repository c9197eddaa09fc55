"""Visitors in Redis: who followed which link a moment ago."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b

from tracker.domain.click_id import SigningKeys
from tracker.domain.value import Value
from tracker.store.redis import Client

# KEYS: one for each visit, all in one slot. ARGV: milliseconds to live, for each.
# Only what is not there is set, so that the time runs from the visit that counted.
_CLAIM = """
local again = {}
for i = 1, #KEYS do
  if not redis.call('SET', KEYS[i], '', 'NX', 'PX', ARGV[i]) then
    again[#again + 1] = i - 1
  end
end
return again
"""


class Sighting(Value, frozen=True):
    """A visitor on a link, and how long it is remembered."""

    identity: bytes
    milliseconds: int


class VisitorStore:
    """
    Which visitors were there within the time that their offer asks for.

    Shared by all processes, in the same shards as clicks. Nothing but a keyed hash is
    kept, and it goes by itself.
    """

    def __init__(self, client: Client, keys: SigningKeys, *, shards: int) -> None:
        derived = keys.derive(b"visitor")
        self._key = derived.secrets[derived.signing]
        self._claim = client.register_script(_CLAIM)
        self._shards = shards

    async def claim(self, sightings: Sequence[Sighting]) -> list[bool]:
        """Whether each is the first, in order; of two at once one is."""
        is_first = [True] * len(sightings)
        for shard, numbers in self._by_shard(sightings).items():
            keys = [self._name(shard, sightings[number]) for number in numbers]
            lives = [sightings[number].milliseconds for number in numbers]
            for place in await self._claim(keys, lives):
                is_first[numbers[place]] = False
        return is_first

    def _by_shard(self, sightings: Iterable[Sighting]) -> dict[int, list[int]]:
        shards: dict[int, list[int]] = {}
        for number, one in enumerate(sightings):
            shards.setdefault(one.identity[-1] % self._shards, []).append(number)
        return shards

    def _name(self, shard: int, one: Sighting) -> str:
        digest = blake2b(one.identity, key=self._key, digest_size=16).hexdigest()
        return f"seen:{{{shard}}}:{digest}"
