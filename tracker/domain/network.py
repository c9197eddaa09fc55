"""Whether partners fail, or the network that all of them are reached by."""

LEAST_HOSTS = 3
"""Fewer may well be down together, by chance or because they are one company's."""

UNREACHED_TO_REACHED = 4


def is_down(unreached: int, reached: int) -> bool | None:
    """
    What it means that so many hosts could not be reached since, and so many could.

    None while it may still be either.
    """
    if unreached >= LEAST_HOSTS and unreached >= UNREACHED_TO_REACHED * reached:
        return True
    return False if reached > unreached else None
