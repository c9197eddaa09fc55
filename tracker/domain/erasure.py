"""
What is erased of a click, and which clicks that concerns.

A click that is erased keeps its id, and so its partner, offer, class and time:
money is owed by these. Everything that the visitor or the partner told is gone.
"""

from datetime import datetime, timedelta
from hashlib import blake2b

from tracker.domain.click import SUBS, Click, ClickReason
from tracker.domain.click_id import ClickFacts, ClickId, SigningKeys
from tracker.domain.value import Value

SKEW = timedelta(minutes=1)
"""How far the clocks of a web host and of Postgres may be apart."""


class ErasedLabel(Value, frozen=True):
    """One value of a partner's label, by its digest, in clicks until then."""

    partner_number: int
    label: str
    digest: bytes
    erased_at: datetime


class Erasures(Value, frozen=True):
    """Which clicks are erased: by their id, or by a label."""

    clicks: frozenset[ClickId] = frozenset()
    labels: tuple[ErasedLabel, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.clicks or self.labels)


class LabelHasher:
    """Keyed hashes of labels, so that an erasure does not keep what it erased."""

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys.derive(b"erased-label")

    def digest(self, partner_number: int, label: str, value: str) -> bytes:
        """Under the key that signs now."""
        said = _said(partner_number, label, value)
        return _digest(said, self._keys.secrets[self._keys.signing])

    def concerns(self, erasures: Erasures, facts: ClickFacts, click: Click) -> bool:
        """Whether the click is one of those that were erased."""
        return facts.id in erasures.clicks or any(
            self._matches(one, facts, click) for one in erasures.labels
        )

    def _matches(self, erased: ErasedLabel, facts: ClickFacts, click: Click) -> bool:
        value = click.subs[SUBS.index(erased.label)]
        if not value or erased.partner_number != facts.partner_number:
            return False
        if facts.clicked_at > erased.erased_at + SKEW:
            return False
        said = _said(erased.partner_number, erased.label, value)
        keys = self._keys.secrets.values()
        return erased.digest in [_digest(said, key) for key in keys]


def erased(click: Click) -> Click:
    """What is left of a click."""
    return Click(click.id, click.catalog_version, reason=ClickReason.ERASED)


def _said(partner_number: int, label: str, value: str) -> bytes:
    return f"{partner_number}\n{label}\n{value}".encode(errors="replace")


def _digest(said: bytes, key: bytes) -> bytes:
    return blake2b(said, key=key, digest_size=16).digest()
