"""A row of a file as the postback that the advertiser did not send."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b

from tracker.domain.advertiser import Advertiser
from tracker.domain.catalog import Catalog
from tracker.domain.columns import AT, Columns
from tracker.domain.identity import EPOCH, new_postback_id
from tracker.domain.lines import Notation
from tracker.domain.outcome import Reason
from tracker.domain.postback import (
    MAX_BYTES,
    MAX_PARAMETERS,
    Postback,
    TokenHasher,
    conceal,
)
from tracker.domain.signature import Nonce, Proof
from tracker.domain.value import Value

METHOD = "FILE"
"""In place of HTTP's."""

ROW = "row:"
"""What the nonce of a row begins with; that of a call has no colon."""

MAX_NAME = 200


class FiledRow(Value, frozen=True):
    """A row, and the postback it is; `fault` says why it is none."""

    line: int
    postback: Postback | None = None
    fault: str = ""


class RowReader:
    """Makes postbacks of the rows of one file, for which an operator vouches."""

    def __init__(  # noqa: PLR0913 - all that a row is read by
        self,
        *,
        catalog: Catalog,
        advertiser: Advertiser,
        hasher: TokenHasher,
        columns: Columns,
        notation: Notation,
        operator: str,
        name: str,
    ) -> None:
        self._vocabulary = catalog.vocabulary(advertiser.key)
        self._advertiser = advertiser
        self._hasher = hasher
        self._columns = columns
        self._places = dict(columns.places)
        self._notation = notation
        self._operator = operator
        self._name = name[:MAX_NAME]

    def read(
        self,
        line: int,
        cells: Sequence[str],
        occurrence: int,
        now: datetime,
    ) -> FiledRow:
        """
        The postback in a row that its file has said so many times until there.

        It has arrived when the row says, never in the future; else now.
        """
        try:
            arrived = self._arrived(cells, now)
        except ValueError as error:
            return FiledRow(line, fault=str(error))
        return FiledRow(line, self._postback(line, cells, occurrence, arrived))

    def _postback(
        self, line: int, cells: Sequence[str], occurrence: int, arrived: datetime
    ) -> Postback:
        said = self._said(cells)
        parameters, _ = conceal(said, self._vocabulary, self._hasher, "")
        is_large = sum(map(len, cells)) > MAX_BYTES or len(cells) > MAX_PARAMETERS
        return Postback(
            id=new_postback_id(arrived),
            received_at=arrived,
            method=METHOD,
            path=f"{self._name}:{line}",
            address="",
            route=self._advertiser.key,
            parameters=() if is_large else parameters,
            fault=Reason.TOO_LARGE if is_large else Reason.NONE,
            proof=Proof(
                advertiser=self._advertiser.key,
                nonce=_identity(self._columns.names, cells, occurrence),
                operator=self._operator,
                decimal=self._notation.decimal,
            ),
        )

    def _arrived(self, cells: Sequence[str], now: datetime) -> datetime:
        place = self._places.get(AT)
        text = cells[place].strip() if place is not None else ""
        if not text:
            return now
        arrived = self._notation.read_time(text)
        if arrived < EPOCH:
            raise ValueError(f"bad_time: {text[:40]!r} is before any click of ours")
        return min(arrived, now)

    def _said(self, cells: Sequence[str]) -> list[tuple[str, str]]:
        """Under the advertiser's names, with sums that can be parsed."""
        said = [*zip(self._columns.names, cells, strict=True)]
        for meaning in ("amount", "revenue", "payout"):
            place = self._places.get(meaning)
            if place is not None:
                name, text = said[place]
                said[place] = (name, self._notation.rewrite(text))
        return said


def _identity(names: Sequence[str], cells: Sequence[str], occurrence: int) -> Nonce:
    """The same for the same row, wherever in whichever file it stands."""
    text = "\0".join([str(occurrence), *names, *cells])
    digest = blake2b(text.encode(errors="replace"), digest_size=16)
    return Nonce(f"{ROW}{digest.hexdigest()}", digest.digest())
