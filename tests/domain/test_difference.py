"""What differs between two texts."""

from time import perf_counter

from tracker.domain.difference import MOST_COMPARED, MOST_SHOWN, compare


def shown(difference):
    return [(line.kind, line.old, line.new, line.text) for line in difference.lines]


def test_equal_texts_have_no_difference():
    found = compare(["a", "b"], ["a", "b"])

    assert found.is_empty
    assert not shown(found)


def test_a_changed_line_is_shown_with_some_around_it():
    old = list("abcdefghi")

    found = compare(old, [*"abcdXfghi"], around=1)

    assert shown(found) == [
        ("gap", None, None, ""),
        ("same", 4, 4, "d"),
        ("gone", 5, None, "e"),
        ("new", None, 5, "X"),
        ("same", 6, 6, "f"),
        ("gap", None, None, ""),
    ]
    assert (found.gone, found.added) == (1, 1)


def test_lines_put_in_shift_those_behind():
    found = compare(["a", "b"], ["a", "x", "y", "b"])

    assert shown(found)[-1] == ("same", 2, 4, "b")
    assert (found.gone, found.added) == (0, 2)


def test_two_changes_keep_what_is_between_them():
    found = compare([*"aBcdefGh"], [*"abcdefgh"], around=2)

    assert [line.kind for line in found.lines] == [
        "same", "gone", "new", "same", "same", "same", "same", "gone", "new", "same",
    ]  # fmt: skip


def test_a_first_version_is_all_new():
    found = compare([], ["a", "b"])

    assert shown(found) == [("new", None, 1, "a"), ("new", None, 2, "b")]


def test_a_large_difference_costs_little_and_is_cut():
    old = [f"a{n}" for n in range(20 * MOST_COMPARED)]
    new = [f"b{n}" for n in range(20 * MOST_COMPARED)]

    found = compare(["same", *old], ["same", *new])

    assert len(found.lines) == MOST_SHOWN
    assert found.is_cut
    assert found.added == len(new)


def test_lines_that_repeat_each_other_cost_no_more_than_others():
    old = [f"{number % 10}" for number in range(MOST_COMPARED)]
    new = [f"{number % 9}" for number in range(MOST_COMPARED)]
    began = perf_counter()

    found = compare(["first", *old, "last"], ["second", *new, "last"])

    # Each line matched against each like it took more than a hundred seconds.
    assert perf_counter() - began < 2
    assert not found.is_empty
