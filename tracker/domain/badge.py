"""What people carry, signed, so that nothing else is looked up in a store."""

import hmac
from enum import StrEnum
from hashlib import sha256

from itsdangerous import BadSignature, Signer

from tracker.domain.click_id import SigningKeys


class Purpose(StrEnum):
    """What is signed for one is worth nothing for another."""

    SESSION = "session"
    KNOWN_BROWSER = "known-browser"
    INVITATION = "invitation"
    FORM = "form"


class Badges:
    """Signs by the newest key, and reads what any key of ours has signed."""

    def __init__(self, keys: SigningKeys) -> None:
        derived = keys.derive(b"badge").secrets
        signing_last = sorted(derived, key=lambda number: number == keys.signing)
        secrets = [derived[number] for number in signing_last]
        self._signers = {
            one: Signer(secrets, salt=one.encode(), digest_method=sha256)
            for one in Purpose
        }

    def sign(self, purpose: Purpose, value: str) -> str:
        """The value and our signature."""
        return self._signers[purpose].sign(value).decode()

    def read(self, purpose: Purpose, signed: str) -> str:
        """The value; "" for what we did not sign for this."""
        try:
            return (
                self._signers[purpose].unsign(signed.encode(errors="replace")).decode()
            )
        except BadSignature:
            return ""

    def form_token(self, session: str) -> str:
        """What a form of that session carries, so that it comes from a page of ours."""
        return self._signers[Purpose.FORM].get_signature(session).decode()

    def is_form_token(self, session: str, token: str) -> bool:
        """Whether that form was made for this session."""
        signer = self._signers[Purpose.FORM]
        return signer.verify_signature(session, token.encode(errors="replace"))


def mark_of(name: str) -> str:
    """What a browser keeps of the name that it knows: nothing that could be read."""
    return sha256(name.encode(errors="replace")).hexdigest()


def is_mark_of(mark: str, name: str) -> bool:
    """Whether this browser has signed in by that name before."""
    return hmac.compare_digest(mark.encode(errors="replace"), mark_of(name).encode())
