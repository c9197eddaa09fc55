"""The child of `tracker.catalog.apart`: work on stdin, the answer on stdout."""

import gc
import os
import resource
import sys

from tracker.catalog.apart import MOST_SECONDS, answer_work

_NICENESS = 10


def main() -> None:
    """Yield to everything that serves, and end even if the parent forgets us."""
    os.nice(_NICENESS)
    # All that is made here lives to the end; looking for garbage took a third.
    gc.disable()
    most = int(MOST_SECONDS)
    resource.setrlimit(resource.RLIMIT_CPU, (most, most + 1))
    answer = answer_work(sys.stdin.buffer.read())
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
