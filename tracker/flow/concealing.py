"""
A call as somebody pasted it, without the secrets in it: fit to be shown again.

Each is masked by the name it has in the words of the advertiser, by what is a secret's
name anywhere, and as a text wherever else it stands.
"""

import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, unquote_plus

from tracker.domain.call import Call
from tracker.domain.postback import MASK, Postback
from tracker.domain.vocabulary import Vocabulary
from tracker.logs import mask, names_secret

_PAIR = re.compile(r"(?P<name>[^?&=\s]+)=(?P<value>[^&\s]*)")
_MEMBER = re.compile(r'"(?P<name>[^"\\]+)"(?P<colon>\s*:\s*)"(?:[^"\\]|\\.)*"')
_SCHEME = re.compile(r"(?i)(bearer|basic)\s+")


def conceal_call(texts: Iterable[str], vocabulary: Vocabulary) -> list[str]:
    """URL and body, or what was pasted as such."""

    def pair(found: re.Match[str]) -> str:
        is_secret = _is_secret(unquote_plus(found["name"]), vocabulary)
        value = MASK if found["value"] and is_secret else found["value"]
        return f"{found['name']}={value}"

    def member(found: re.Match[str]) -> str:
        is_secret = _is_secret(found["name"], vocabulary)
        return f'"{found["name"]}"{found["colon"]}"{MASK}"' if is_secret else found[0]

    return [mask(_MEMBER.sub(member, _PAIR.sub(pair, text))) for text in texts]


def conceal_headers(text: str, vocabulary: Vocabulary) -> str:
    """Lines `Name: value`; of `Authorization: Bearer …` the scheme stays."""
    return "\n".join(_header(line, vocabulary) for line in text.splitlines())


def without_values(text: str, values: Iterable[str]) -> str:
    """The text without those values, however they are encoded there."""
    for value in sorted(values, key=len, reverse=True):
        for spelled in {value, quote(value, safe=""), quote_plus(value)}:
            text = text.replace(spelled, MASK)
    return text


def secrets_in(postback: Postback, call: Call) -> set[str]:
    """What was masked of a call: the values that it had on the wire."""
    pairs = zip(call.parameters, postback.parameters, strict=False)
    return {
        raw
        for (_, raw), (_, kept) in pairs
        if kept == MASK and raw.strip() and raw != MASK
    }


def _header(line: str, vocabulary: Vocabulary) -> str:
    name, colon, value = line.partition(":")
    plain = name.strip().lower()
    if not colon or not _is_secret(plain.replace("-", "_"), vocabulary):
        hidden = vocabulary.hides(f"header:{plain}")
        return f"{name}: {MASK}" if hidden else mask(line)
    scheme = _SCHEME.match(value.strip())
    return f"{name}: {scheme[0] if scheme else ''}{MASK}"


def _is_secret(name: str, vocabulary: Vocabulary) -> bool:
    return vocabulary.hides(name) or names_secret(name)
