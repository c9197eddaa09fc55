"""
Deep links: a page of the advertiser's that a partner sends its visitor to.

Its host must be on the offer's list, or the link must carry our seal; otherwise
a tracked link would be an open redirect.
"""

from urllib.parse import urlsplit

from itsdangerous import Signer

from tracker.domain.click_id import SigningKeys

PARAMETER = "deeplink"
SIGNATURE = "deeplink_signature"
MAX_LENGTH = 2048

_NEVER_IN_A_URL = frozenset(' \\"<>^`{|}')


class Seal:
    """Signs deep links, each for one partner and one offer."""

    def __init__(self, keys: SigningKeys) -> None:
        derived = keys.derive(b"deep-link").secrets
        signing_last = sorted(derived, key=lambda number: number == keys.signing)
        self._signer = Signer([derived[number] for number in signing_last])

    def sign(self, partner: str, offer: str, url: str) -> str:
        """The value of `deeplink_signature` for this link."""
        return self._signer.get_signature(_sealed(partner, offer, url)).decode()

    def holds(self, partner: str, offer: str, url: str, signature: str) -> bool:
        """Whether we signed this deep link for this partner and offer."""
        sealed = _sealed(partner, offer, url)
        return self._signer.verify_signature(sealed, signature.encode())


def host_of(url: str) -> str:
    """The lower-cased host of a plain web address; "" for anything else."""
    if len(url) > MAX_LENGTH or not url.isprintable() or _NEVER_IN_A_URL & set(url):
        return ""
    try:
        parts = urlsplit(url)
        is_plain = parts.scheme in {"http", "https"} and parts.port != 0
    except ValueError:
        return ""
    if not is_plain or "@" in parts.netloc or not parts.netloc.isascii():
        return ""
    return parts.hostname or ""


def _sealed(partner: str, offer: str, url: str) -> bytes:
    return f"{partner}\n{offer}\n{url}".encode(errors="replace")
