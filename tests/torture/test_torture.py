import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from row import find_rows

AT_ONCE = 3
"""An attack is mostly waiting."""

ROWS = list(find_rows())


@pytest.fixture(scope="module")
def attacks(request):
    """Each in a process of its own, so that what it leaves behind is its own, too."""
    wanted = {item.callspec.id for item in request.session.items if _is_row(item)}
    seed = request.config.getoption("randomly_seed", 0)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        # The longest are the last.
        yield {
            row.number: threads.submit(_attack, row.number, seed)
            for row in reversed(ROWS)
            if _name(row) in wanted
        }


def _name(row):
    return f"row_{row.number}"


def _is_row(item):
    return item.path == Path(__file__)


def _attack(number, seed):
    return subprocess.run(
        [sys.executable, str(Path(__file__).parent), str(number)],
        env={**os.environ, "TORTURE_BRIEF": "1", "TORTURE_SEED": str(seed)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("row", ROWS, ids=_name)
def test_a_part_of_every_attack_finds_nothing(row, attacks):
    """`make torture` runs all of it; both print every figure."""
    ended = attacks[row.number].result()

    print(ended.stdout)
    assert ended.returncode == 0, ended.stdout + ended.stderr[-4000:]
