"""What a request is made into: values that cost little to build."""

from typing import Any, Self

import msgspec


class Value(msgspec.Struct, frozen=True):
    """
    Immutable and compared by content, as a frozen dataclass is.

    Built in C, at a tenth of its cost: a request becomes a dozen of them.
    """

    def but(self, **changed: Any) -> Self:
        """The same with other fields."""
        return msgspec.structs.replace(self, **changed)
