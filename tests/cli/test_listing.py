"""Lists: for people within 80 columns, for machines one object a line."""

import pytest


@pytest.fixture
async def ledger(visit, report, deliver):
    """Two leads and a sale, of which one was delivered, and two in quarantine."""
    await report(await visit())
    await deliver()
    sale = {"goal": "sale", "transaction_id": "order-1", "amount": "50"}
    await report(await visit(), **sale)
    await report(await visit())
    await report(await visit(), token="wrong")
    await report("{click_id}")


async def test_conversions_are_filtered(tracker, ledger):
    def goals(*words):
        found = tracker("conversions", "list", "--json", *words).lines
        return [one["goal"] for one in found]

    assert goals() == ["lead", "sale", "lead"]
    assert goals("--limit", "1") == ["lead"]
    assert goals("--status", "pending") == ["sale"]
    assert (
        goals("--partner", "bestdeals", "--offer", "shoes", "--since", "1h") == goals()
    )
    assert goals("--partner", "nobody") == goals("--since", "2999-01-01") == []
    assert goals("--advertiser", "acme", "--since", "2024-01-01T00:00+02:00") == goals()


async def test_quarantine_is_filtered(tracker, ledger):
    def reasons(*words):
        found = tracker("quarantine", "list", "--json", *words).lines
        return [one["reason"] for one in found]

    assert reasons() == ["unfilled_macro", "bad_token"]
    assert reasons("--reason", "bad_token", "--since", "1d") == ["bad_token"]
    assert reasons("--since", "2999-01-01") == []


async def test_quarantine_says_what_to_do(tracker, ledger):
    """Once for each reason, however many wait for it; machines read it in each row."""
    said = tracker("quarantine", "list").out
    _, wrong = tracker("quarantine", "list", "--json").lines

    assert said.count("the token is not this advertiser's") == 1
    assert "compare the token it sends with its `auth.token`" in " ".join(said.split())
    assert wrong["meaning"] == "the token is not this advertiser's"
    assert wrong["remedy"].startswith("compare the token it sends")


async def test_deliveries_are_filtered(tracker, ledger):
    def states(*words):
        found = tracker("deliveries", "list", "--json", *words).lines
        return [one["state"] for one in found]

    assert states() == ["owed", "owed", "delivered"]
    assert states("--limit", "2") == ["owed", "owed"]
    assert states("--state", "delivered", "--since", "1h") == ["delivered"]
    assert states("--partner", "nobody") == states("--state", "dead") == []


@pytest.mark.parametrize("what", ["conversions", "deliveries", "quarantine"])
async def test_a_table_fits_80_columns_and_breaks_no_id(tracker, ledger, what):
    ids = [one["id"] for one in tracker(what, "list", "--json").lines]

    said = tracker(what, "list")

    assert max(map(len, said.out.splitlines())) <= 80
    assert all(one in said.out for one in ids)
    assert "\x1b" not in said.out


async def test_a_conversion_is_listed_in_words_and_sums(tracker, ledger):
    _, sale, _ = tracker("conversions", "list", "--json").lines

    assert sale["click_class"] == "visit"
    assert (sale["amount"], sale["sent_amount"]) == ("50.00", "50.00")


async def test_a_table_breaks_no_reason(tracker, runtime, visit, report):
    await report(await visit(), goal="sale", amount="50")
    async with runtime.pool.connection() as connection:
        await connection.execute(
            "update postbacks set advertiser = %s, address = %s",
            ["a-key-that-is-long-enough-to-fold", "2001:db8:1111:2222:3333:4444:5:6"],
        )

    said = tracker("quarantine", "list").out

    assert " missing_transaction_id " in said
    assert max(map(len, said.splitlines())) <= 80


async def test_a_table_breaks_no_reason_of_a_delivery(tracker, ledger, runtime):
    (owed, *_) = tracker("deliveries", "list", "--state", "owed", "--json").lines
    await runtime.lanes.pause(owed["lane"], "asked by phone")

    held = tracker("deliveries", "list", "--state", "held").out.splitlines()

    assert [line.endswith(" paused_lane") for line in held[1:]] == [True, True]


@pytest.mark.parametrize("what", ["conversions", "deliveries", "quarantine"])
async def test_where_there_is_nothing_no_line_pretends_otherwise(
    tracker, runtime, what
):
    people, machine = tracker(what, "list"), tracker(what, "list", "--json")

    assert (people.code, people.out, people.err) == (0, "", "nothing to list\n")
    assert (machine.code, machine.out, machine.err) == (0, "", "")


@pytest.mark.parametrize("since", ["yesterday", "7 days", "2026-13-01"])
async def test_a_time_that_is_none_is_wrong_usage(tracker, since):
    said = tracker("conversions", "list", "--since", since)

    assert said.code == 2
    assert "write 90m, 24h, 7d" in said.err
