"""Which column of a network's file says what."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import get_args

from tracker.domain.errors import SheetError
from tracker.domain.value import Value
from tracker.domain.vocabulary import CANONICAL, Meaning, Vocabulary, is_part

AT = "at"
"""What a column may say besides the meanings of parameters: when it happened."""

Asked = Mapping[str, str]
"""Columns that an operator names, by what they mean."""

MEANINGS: tuple[str, ...] = (*get_args(Meaning), AT)


class Columns(Value, frozen=True):
    """
    The columns of a file, each under the name by which it is read as a parameter.

    `found` are the columns by what they mean, as the file calls them, and `places`
    are their positions.
    """

    names: tuple[str, ...]
    found: Mapping[str, str]
    places: tuple[tuple[str, int], ...]


def read_asked(words: Sequence[str]) -> dict[str, str]:
    """`click_id=subid,amount=total`; raises SheetError for what is not so."""
    asked = {}
    for word in ",".join(words).split(",") if words else ():
        meaning, equals, column = (part.strip() for part in word.partition("="))
        if not equals or not column:
            raise SheetError(f"{word!r} is not MEANING=COLUMN, like click_id=subid")
        if meaning not in MEANINGS:
            like = _like(meaning, MEANINGS)
            raise SheetError(
                f"{meaning!r} is nothing that a column can mean{like};"
                f" there are {', '.join(MEANINGS)}"
            )
        asked[meaning] = column
    return asked


def find_columns(
    header: Sequence[str], vocabulary: Vocabulary, asked: Asked
) -> Columns:
    """
    What the columns mean: as the operator says, else by the advertiser's names or ours.

    Case does not matter. Raises SheetError for a column that is not there, and where
    none says which action a row is about.
    """
    places = {name.lower(): place for place, name in reversed([*enumerate(header)])}
    chosen = {
        meaning: _place(column, header, places) for meaning, column in asked.items()
    }
    for meaning in MEANINGS:
        spellings = _spellings(meaning, vocabulary)
        known = [places[one] for one in spellings if one in places]
        free = [place for place in known if place not in chosen.values()]
        if meaning not in chosen and free:
            chosen[meaning] = free[0]
    if not {"click_id", "transaction_id"} & chosen.keys():
        raise SheetError(_nothing_known(header))
    return Columns(
        names=_names(header, vocabulary, chosen),
        found={meaning: header[place] for meaning, place in chosen.items()},
        places=tuple(chosen.items()),
    )


def _place(column: str, header: Sequence[str], places: Mapping[str, int]) -> int:
    if column.lower() in places:
        return places[column.lower()]
    raise SheetError(
        f"the file has no column {column!r}{_like(column, header)};"
        f" it has {', '.join(header)}"
    )


def _spellings(meaning: str, vocabulary: Vocabulary) -> list[str]:
    """The advertiser's names, in its order, and then ours."""
    own = [names for known, names in vocabulary.names.items() if known == meaning]
    ours = [names for known, names in CANONICAL.items() if known == meaning]
    found = [name for names in (*own, *ours) for name in names]
    return found or [meaning]


def _names(
    header: Sequence[str], vocabulary: Vocabulary, chosen: Mapping[str, int]
) -> tuple[str, ...]:
    """
    A column that means something has the name that is preferred for it.

    One that is called like a parameter, and is not the one that was chosen for it, is
    numbered: it is kept, and says nothing.
    """
    names = [
        f"{name} ({place + 1})" if vocabulary.meanings(name) else name
        for place, name in enumerate(header)
    ]
    for meaning, spellings in vocabulary.names.items():
        if meaning in chosen and spellings:
            names[chosen[meaning]] = _plain(spellings)
    if AT in chosen:
        names[chosen[AT]] = header[chosen[AT]]
    return tuple(names)


def _plain(spellings: Sequence[str]) -> str:
    """The preferred one that a parameter can have."""
    return next((name for name in spellings if not is_part(name)), spellings[0])


def _nothing_known(header: Sequence[str]) -> str:
    return (
        "no column is known to hold a click id or a transaction id: say which with"
        f" --columns click_id=…; the file has {', '.join(header)}"
    )


def _like(word: str, known: Sequence[str]) -> str:
    close = get_close_matches(word.lower(), [one.lower() for one in known], 1)
    return f" (did you mean {close[0]}?)" if close else ""
