"""Any id leads to its story, however it was pasted."""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from tracker.domain import base32
from tracker.domain.click_id import one_spelling
from tracker.domain.errors import (
    ForgedClickIdError,
    NotFoundError,
    UnknownClickIdError,
)
from tracker.domain.postback import clean
from tracker.runtime import Runtime
from tracker.store.journal import ClickWanted, ConversionWanted, PostbackWanted

Kind = Literal["click", "conversion", "postback", "delivery"]
Several = Literal["conversions of", "postbacks of", "clicks of"]

MAX_TEXT = 4000
"""Characters of what was pasted that are looked through."""

_ID = re.compile(r"(?<![0-9a-z])(pb|cv|ch|dl)_([0-9a-z]{24})(?![0-9a-z])", re.ASCII)
_KINDS: dict[str, Kind] = {"pb": "postback", "cv": "conversion", "dl": "delivery"}


@dataclass(frozen=True, slots=True)
class Lead:
    """Where a text leads: to the story of an id, or to all that have that value."""

    kind: Kind | Several
    id: str


async def look_up(runtime: Runtime, text: str, partner: str | None) -> Lead:
    """
    What a text names, however it was pasted.

    That is an id of ours, also in a URL or with blanks in it, an advertiser's
    transaction, or the value of a partner's first label. With a partner only its own
    are looked for. Raises NotFoundError.
    """
    said = clean(text).strip()[:MAX_TEXT]
    for spelled in (said, unquote(said), re.sub(r"\s+", "", said)):
        lead = await _named(runtime, spelled, partner)
        if lead:
            return lead
    for look in (_by_transaction, _by_label):
        lead = await look(runtime, said, partner) if said else None
        if lead:
            return lead
    raise NotFoundError(f"nothing here is called {said[:80]!r}")


async def _named(runtime: Runtime, text: str, partner: str | None) -> Lead | None:
    found = _ID.search(text.lower())
    if found:
        prefix, rest = found.groups()
        return await _prefixed(runtime, prefix, base32.normalise(rest), partner)
    try:
        return Lead("click", runtime.mint.find(text).id)
    except ForgedClickIdError:
        return Lead("click", one_spelling(text)) if partner is None else None
    except UnknownClickIdError:
        return None


async def _prefixed(
    runtime: Runtime, prefix: str, rest: str, partner: str | None
) -> Lead | None:
    if prefix == "pb" and partner is not None:
        return None
    if prefix in _KINDS:
        return Lead(_KINDS[prefix], f"{prefix}_{rest}")
    changed = await runtime.reports.list_changed(f"{prefix}_{rest}", partner)
    return Lead("conversion", changed[0]) if changed else None


async def _by_transaction(
    runtime: Runtime, text: str, partner: str | None
) -> Lead | None:
    wanted = ConversionWanted(transaction_id=text, partner=partner)
    found = (await runtime.journal.list_conversions(wanted)).rows
    if found:
        several = len(found) > 1
        return (
            Lead("conversions of", text) if several else Lead("conversion", found[0].id)
        )
    if partner is not None:
        return None
    refused = PostbackWanted(transaction_id=text)
    postbacks = (await runtime.journal.list_postbacks(refused)).rows
    return Lead("postbacks of", text) if postbacks else None


async def _by_label(runtime: Runtime, text: str, partner: str | None) -> Lead | None:
    wanted = ClickWanted(label=("sub1", text), partner=partner)
    found = (await runtime.journal.list_clicks(wanted)).rows
    if not found:
        return None
    return Lead("clicks of", text) if len(found) > 1 else Lead("click", found[0].id)
