"""How ids, tokens and signatures are forged: a real one, and one step away from it."""

import random
import unicodedata
from collections.abc import Callable, Iterator

LOOKALIKES = str.maketrans({
    "a": "\u0430", "c": "\u0441", "e": "\u0435", "k": "\u212a", "o": "\u043e",
    "p": "\u0440", "s": "\u017f", "x": "\u0445", "y": "\u0443", "0": "\u0660",
    "1": "\u0661", "2": "\uff12", "3": "\u096b", "5": "\u0665", "d": "\u0501",
})  # fmt: skip
"""Other letters that look the same, or that some would fold into the same."""

Mutation = Callable[[random.Random, str, str], str]


def flip_a_bit(chance, real, _):
    place = chance.randrange(len(real))
    return (
        real[:place]
        + chr(ord(real[place]) ^ 1 << chance.randrange(7))
        + real[place + 1 :]
    )


def change_a_character(chance, real, other):
    place = chance.randrange(len(real))
    return real[:place] + chance.choice(other) + real[place + 1 :]


def change_many(chance, real, other):
    return "".join(chance.choice(other) if chance.random() < 0.2 else c for c in real)


def cut(chance, real, _):
    return real[: chance.randrange(len(real))]


def cut_the_head(chance, real, _):
    return real[chance.randrange(1, len(real)) :]


def lengthen(chance, real, other):
    return real + other[: chance.randrange(1, len(other))]


def swap_tails(chance, real, other):
    place = chance.randrange(1, len(real))
    return real[:place] + other[place:]


def swap_neighbours(chance, real, _):
    place = chance.randrange(len(real) - 1)
    return real[:place] + real[place + 1] + real[place] + real[place + 2 :]


def turn(chance, real, _):
    place = chance.randrange(1, len(real))
    return real[place:] + real[:place]


def change_case(chance, real, _):
    return "".join(c.upper() if chance.random() < 0.5 else c.lower() for c in real)


def look_alike(chance, real, _):
    wrong = [c.translate(LOOKALIKES) if chance.random() < 0.3 else c for c in real]
    return "".join(wrong)


def widen(_, real, __):
    """Full-width forms, which compatibility normalisation makes the same."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in real)


def insert(chance, real, _):
    place = chance.randrange(len(real) + 1)
    odd = chance.choice(["\0", "\u200b", "\u00ad", " ", "%", "'", "\ud800", "\r\n"])
    return real[:place] + odd + real[place:]


def repeat(_, real, __):
    return real + real


MUTATIONS: tuple[Mutation, ...] = (
    flip_a_bit, change_a_character, change_many, cut, cut_the_head, lengthen,
    swap_tails, swap_neighbours, turn, change_case, look_alike, widen, insert, repeat,
)  # fmt: skip


def forgeries(chance, reals) -> Iterator[str]:
    """Without end; some are no forgeries after all, which is for the caller to say."""
    while True:
        real, other = chance.choice(reals), chance.choice(reals)
        yield chance.choice(MUTATIONS)(chance, real, other)


def is_plain(text):
    """Whether a client could send it as it is."""
    return not any(unicodedata.category(c) in {"Cs", "Cc"} for c in text)
