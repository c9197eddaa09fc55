"""
What others call things: the words of other trackers and networks, and ours for them.

The trade uses the same word for different things, so some words have two answers; the
likelier one stands first. Nothing is read by these words: they are for whoever has
written, or sent, one of them by mistake.
"""

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches

_LABELS = range(1, 11)

_SPELLINGS: Mapping[tuple[str, ...], str] = {
    ("click_id",): "click cid clid click_hash aff_click_id click_uuid",
    ("sub1", "click_id"): "subid sub_id sub external_id",
    ("transaction_id", "click_id"): "tid",
    ("transaction_id",): "txid order order_id order_number adv_sub action_id sale_id",
    ("partner",): "affiliate affiliate_id aff aff_id publisher publisher_id pub_id"
    " pid webmaster",
    ("offer",): "offer_id oid campaign campaign_id program program_id",
    ("advertiser",): "advertiser_id merchant merchant_id brand",
    ("goal",): "event event_id event_name event_type goal_id goal_name action type et",
    ("status",): "conversion_status state",
    ("amount",): "sum sale_amount price total order_total order_amount order_value"
    " sale value",
    ("currency",): "cur currency_code",
    ("payout",): "commission reward earnings payment",
    ("revenue",): "income",
    ("token",): "security_token secret key api_key auth password",
    ("changed_at",): "date datetime time timestamp event_time",
    ("ip",): "user_ip ip_address client_ip",
    ("user_agent",): "ua",
    ("referrer",): "referer ref",
    ("language",): "lang locale",
    **{
        (f"sub{n}",): f"aff_sub{n} affsub_{n} s{n} sub_id_{n} source_id_{n} var{n} t{n}"
        for n in _LABELS
    },
}

_MOST = 100


def ours(word: str, known: Collection[str]) -> tuple[str, ...]:
    """
    The names among `known` that a word may well stand for; empty for no idea.

    `clickID` and `sub_1` are spellings of ours, `aff_sub` is another tracker's word,
    and `payuot` is close to one.
    """
    foreign = _foreign(word, known)
    return foreign if foreign is not None else _near(word, known)


def translation(word: str, known: Collection[str]) -> str:
    """`; that is {sub1} here`, `; did you mean {payout}?`, or nothing for no idea."""
    if foreign := _foreign(word, known):
        return f"; that is {_told(foreign)} here"
    near = ours(word, known)
    return f"; did you mean {_told(near)}?" if near else ""


def _foreign(word: str, known: Collection[str]) -> tuple[str, ...] | None:
    """None for nobody's word; empty if none of `known` is meant by it."""
    names = _FOREIGN.get(_squeezed(word))
    return None if names is None else tuple(name for name in names if name in known)


def _near(word: str, known: Collection[str]) -> tuple[str, ...]:
    squeezed = _squeezed(word)
    same = [name for name in known if _squeezed(name) == squeezed]
    return tuple(same or get_close_matches(word[:_MOST], known, n=1))


def _told(names: Iterable[str]) -> str:
    return " or ".join(f"{{{name}}}" for name in names)


def _squeezed(word: str) -> str:
    return "".join(filter(str.isalnum, word.lower()))


_FOREIGN: Mapping[str, tuple[str, ...]] = {
    _squeezed(word): names
    for names, words in _SPELLINGS.items()
    for word in words.split()
} | {"affsub": ("sub1",)}
