"""Whole numbers that somebody wrote into an address, a form or a header."""


def read_number(text: str, most: int) -> int | None:
    """
    A number from 0 to `most`, in ASCII digits; None for anything else.

    `int` takes digits of every script, and tries for long with thousands of them.
    """
    is_one = text.isascii() and text.isdigit() and len(text) <= len(str(most))
    return int(text) if is_one and int(text) <= most else None
