"""Statements that are put together of pieces; what people say travels as parameters."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from psycopg import sql

SQL = sql.SQL
Piece: TypeAlias = sql.Composable
Pieces: TypeAlias = Mapping[str, Piece]


class Parameters:
    """What a statement is sent with; each value gets a name of its own."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}

    def add(self, value: object) -> Piece:
        """The place in a statement where this value will be."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return sql.Placeholder(name)


def listed(pieces: Iterable[Piece]) -> sql.Composed:
    """With commas between them."""
    return SQL(", ").join(pieces)


def each(pieces: Iterable[Piece]) -> sql.Composed:
    """Each with a comma behind it, for what always goes on."""
    return SQL("").join(SQL("{}, ").format(piece) for piece in pieces)
