"""`tracker erase`, as an operator types it."""

from tracker.flow.clicklog import fold_clicks


async def test_a_click_is_erased_by_its_id(tracker, runtime, visit):
    click_id = await visit(sub1="jane@example.org")
    await fold_clicks(runtime, 0)

    rehearsed = tracker("erase", "click", click_id, "--dry-run", "--json")
    erased = tracker("erase", "click", click_id, "--yes", "--json")
    again = tracker("erase", "click", click_id, "--yes")

    assert rehearsed.document["records"] == erased.document["records"]
    assert (rehearsed.document["erased"], erased.document["erased"]) == (False, True)
    assert "nothing" in again.out
    told = tracker("trace", click_id, "--json").document
    assert "jane" not in str(told)
    assert len(told["erasures"]) == 2


async def test_nothing_is_erased_unless_somebody_says_so(tracker, runtime, visit):
    click_id = await visit(sub1="jane@example.org")

    refused = tracker("erase", "click", click_id)

    assert refused.code == 1
    assert "jane" in tracker("trace", click_id).out


async def test_a_label_is_erased_by_its_value(tracker, runtime, visit):
    click_id = await visit(sub3="jane@example.org")
    await fold_clicks(runtime, 0)
    words = ("erase", "label", "bestdeals", "sub3", "jane@example.org")

    erased = tracker(*words, "--yes", "--by", "root")

    assert (erased.code, "clicks: 1" in erased.out) == (0, True)
    told = tracker("trace", click_id).out
    assert ("jane" in told, "erased by root" in told) == (False, True)


def test_what_there_is_not_cannot_be_erased(tracker, runtime):
    assert tracker("erase", "click", "nonsense", "--yes").code == 1
    assert tracker("erase", "label", "nobody", "sub1", "x", "--yes").code == 1
    assert tracker("erase", "label", "bestdeals", "sub11", "x", "--yes").code == 2
