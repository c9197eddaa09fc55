from concurrent.futures import ThreadPoolExecutor

import pytest
from row import Scale, find_rows


@pytest.mark.parametrize("row", list(find_rows()), ids=lambda row: f"row_{row.number}")
def test_a_part_of_every_attack_finds_nothing(row, request):
    """`make torture` runs all of it; both print every figure."""
    seed = request.config.getoption("randomly_seed", 0)
    scale = Scale(is_full=False, seed=int(seed))

    # An attack runs loops of its own, and the session's is here.
    with ThreadPoolExecutor(1) as thread:
        findings = thread.submit(lambda: list(row.run(scale))).result()

    print(*findings, sep="\n")
    assert [one for one in findings if one.holds is False] == []
