"""What an advertiser calls things, and what a postback so says."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from tracker.domain.items import Item
from tracker.domain.unfilled import ENDS, is_macro
from tracker.domain.value import Value

Meaning = Literal[
    "click_id", "transaction_id", "goal", "status", "amount", "currency",
    "revenue", "payout", "offer", "refund_id", "token",
]  # fmt: skip
"""What a parameter of a postback can stand for."""

Names = Mapping[Meaning, tuple[str, ...]]
Pairs = Iterable[tuple[str, str]]

CANONICAL: Names = {
    "click_id": ("click_id",),
    "transaction_id": ("transaction_id",),
    "goal": ("goal",),
    "status": ("status",),
    "amount": ("amount",),
    "currency": ("currency",),
    "revenue": ("revenue",),
    "payout": ("payout",),
    "offer": ("offer",),
    "refund_id": ("refund_id",),
    "token": ("token",),
}
"""Our own names; an advertiser's names for a meaning take their place."""

GENERIC: Names = {**CANONICAL, "click_id": ("click_id", "cid", "clickid", "subid")}
"""The names on the route that serves all advertisers."""

# Other names that senders use for what must never be stored.
_SECRETS = frozenset({
    "access_token", "api_key", "apikey", "auth", "client_secret", "hash", "key",
    "password", "secret",
    "secure", "security_token", "sig", "sign", "signature",
})  # fmt: skip

NOTHING = frozenset({"-", "n/a", "nil", "none", "null", "undefined"})
"""What programs write where they have no value; it counts as absent."""

_LONGEST = max(map(len, NOTHING))

PATH, HEADER = "path:", "header:"
"""
Beginnings of names of parts: `header:x-id` is a header, `path:2` a segment of the path,
and `path:ref` what stands in one that is `ref:…`.
"""


class Statement(Value, frozen=True):
    """
    What a postback says, by meaning; an empty value, or a word for none, is absent.

    `unclear` are the meanings that were sent twice with different values, `names`
    the parameters that the values were read from, as they were sent. `items` are
    what was bought, where no amount was sent for all.
    """

    values: Mapping[Meaning, str] = {}
    unclear: frozenset[Meaning] = frozenset()
    names: Mapping[Meaning, str] = {}
    items: tuple[Item, ...] = ()

    def get(self, meaning: Meaning) -> str | None:
        """The value of a meaning, None where there is none."""
        return self.values.get(meaning)

    def unfilled(self) -> list[str]:
        """The parameters in which a macro of the sender's was left as text."""
        found = [
            self.names.get(meaning, meaning)
            for meaning, value in self.values.items()
            if value[-1:] in ENDS and meaning != "token" and is_macro(value)
        ]
        if self.items:
            found += [one.name for one in self.items if one.is_unfilled]
        return found


class Vocabulary:
    """
    The names of parameters: what each means, and which of them hold a secret.

    `names` are the spellings of each meaning, lower-cased, the preferred one first;
    `hidden` are names of secrets besides. `parts` are those of the spellings that name
    a part of the path or a header. What is sent in the words of `nothing` is absent.
    """

    def __init__(
        self,
        names: Names,
        hidden: Iterable[str] = (),
        nothing: frozenset[str] = NOTHING,
    ) -> None:
        self.names = names
        self._nothing = nothing
        self._meanings = _by_spelling(names)
        self.spellings = tuple(self._meanings)
        self.parts = tuple(filter(is_part, self.spellings))
        self._tokens = _by_spelling({"token": names["token"]})
        self._told = {*_by_spelling({**names, "token": ()})} - {*names["token"]}
        secrets = {*_SECRETS, *CANONICAL["token"]} - self._told
        self._secrets = secrets | {*names["token"], *hidden}

    def read(self, parameters: Pairs) -> Statement:
        """Of several names for a meaning, the preferred one of those sent counts."""
        return _read(parameters, self._meanings, self._nothing)

    def read_token(self, parameters: Pairs) -> Statement:
        """What they say of the token alone."""
        return _read(parameters, self._tokens, frozenset())

    def meanings(self, name: str) -> list[Meaning]:
        """What a parameter of this name may stand for."""
        return [meaning for _, meaning in self._meanings.get(name.lower(), ())]

    def meant(self, value: str) -> str:
        """The value that counts, "" for a word that stands for none."""
        said = value.strip()
        return "" if said.lower() in self._nothing else said

    def hides(self, name: str) -> bool:
        """
        Whether the value is a secret; of `auth.token` it is `token` that counts.

        A name that means something else never is: masked, all its values were the same.
        """
        name = name.lower()
        is_listed = name in self._secrets
        if is_listed or "." not in name or name in self._told:
            return is_listed
        return name.rpartition(".")[2] in self._secrets


def own_names(names: Names) -> Names:
    """An advertiser's names, and ours for what it has none; `token` only if free."""
    taken = {one for own in names.values() for one in own}
    tokens = tuple(one for one in CANONICAL["token"] if one not in taken)
    return {**CANONICAL, "token": tokens, **names}


def is_part(name: str) -> bool:
    """Whether it names a part of the call that is no parameter."""
    return name.startswith((PATH, HEADER))


def find_segment(segments: Sequence[str], name: str) -> list[str]:
    """What the path says under such a name; its first segment is the advertiser."""
    which = name.removeprefix(PATH)
    if which.isdigit():
        return list(segments[int(which) :][:1])
    named = [segment.partition(":") for segment in segments[1:]]
    return [text for key, colon, text in named if colon and key.lower() == which][:1]


def _by_spelling(names: Names) -> dict[str, list[tuple[int, Meaning]]]:
    """For each spelling what it may mean, and how many are preferred to it."""
    found: dict[str, list[tuple[int, Meaning]]] = {}
    for meaning, spellings in names.items():
        for rank, spelling in enumerate(spellings):
            found.setdefault(spelling, []).append((rank, meaning))
    return found


def _read(
    parameters: Pairs,
    meanings: Mapping[str, Sequence[tuple[int, Meaning]]],
    nothing: frozenset[str],
) -> Statement:
    values: dict[Meaning, str] = {}
    names: dict[Meaning, str] = {}
    ranks: dict[Meaning, int] = {}
    unclear: set[Meaning] = set()
    for name, value in parameters:
        known = meanings.get(name.lower())
        said = value.strip() if known else ""
        if not known or not said:
            continue
        if len(said) <= _LONGEST and said.lower() in nothing:
            continue
        for rank, meaning in known:
            best = ranks.get(meaning)
            if best is None or rank < best:
                ranks[meaning], values[meaning], names[meaning] = rank, said, name
                unclear.discard(meaning)
            elif rank == best and values[meaning] != said:
                unclear.add(meaning)
    return Statement(values, frozenset(unclear), names)
