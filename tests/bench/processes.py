"""What a second web process adds, where there is a core for it."""

from concurrent.futures import ThreadPoolExecutor

import servers
from ground import prepared
from load import CONNECTIONS, Requests, push
from published import HEADERS, URL
from rounds import SECONDS, alternate
from table import at_least, not_applicable

WHAT = "clicks/s of two web processes against one"
SPEED = at_least(1.7, None, "×")
NEEDED_CORES = 4


def measure():
    """The same connections, to one process or shared between two."""
    if len(servers.CORES) < NEEDED_CORES:
        yield not_applicable(WHAT, SPEED, f"{len(servers.CORES)} cores")
        return
    with prepared() as ground:
        ground.write_catalog()
        with (
            servers.web(ground) as one,
            servers.web(ground, core=servers.SECOND_CORE) as other,
        ):
            rounds = alternate(
                {"one": lambda _: _push([one]), "two": lambda _: _push([one, other])}
            )
        yield rounds.compare(WHAT, SPEED, rounds.ratios("per_second", "two", "one"))


def _push(processes):
    share = CONNECTIONS // len(processes)
    with ThreadPoolExecutor(len(processes)) as threads:
        pushes = [
            threads.submit(push, one, Requests((URL,)), SECONDS, HEADERS, share)
            for one in processes
        ]
    if any(one.result().errors for one in pushes):
        raise SystemExit("some clicks went wrong")
    return {"per_second": sum(one.result().per_second for one in pushes)}
