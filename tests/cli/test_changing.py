"""What operators change by hand is written down with their name, and told."""

import pytest

from tracker.domain.delivery import DeadReason


@pytest.fixture
async def sale(visit, report):
    """A sale of 50 dollars that waits for its approval."""
    click_id = await visit(sub1="banner")
    said = {"goal": "sale", "transaction_id": "order-1", "amount": "50"}
    return (await report(click_id, **said)).conversion_id


@pytest.fixture
async def lead(visit, report):
    return (await report(await visit())).conversion_id


@pytest.fixture
async def suspect(visit, report):
    """A postback with a wrong token."""
    return (await report(await visit(), token="wrong")).postback_id


async def test_an_approval_is_written_down_and_told(tracker, sale, deliver, inbox):
    said = tracker("conversions", "approve", sale, "--by", "ann", "--note", "checked")
    while await deliver():
        pass

    (_, change) = tracker("trace", sale, "--json").document["changes"]
    assert said.out == f"{sale} is approved: payout 4.00, revenue 6.00 USD\n"
    assert (change["operator"], change["note"]) == ("ann", "checked")
    assert inbox.told[-1] == {"cid": "banner", "status": "approved"}


async def test_a_refused_one_does_not_keep_the_others(tracker, sale, lead):
    said = tracker("conversions", "reject", "cv_unknown", sale, lead, "--json")

    assert [(one["id"], one["status"]) for one in said.lines] == [
        (sale, "rejected"),
        (lead, "rejected"),
    ]
    assert said.err == "tracker: no conversion cv_unknown\n"
    assert said.code == 1


async def test_what_stands_there_already_is_refused(tracker, lead):
    said = tracker("conversions", "approve", lead)

    assert (said.code, said.out) == (1, "")
    assert said.err == f"tracker: {lead} is approved already\n"


async def test_an_adjusted_amount_moves_payout_and_revenue(tracker, sale):
    said = tracker("conversions", "adjust", sale, "--amount", "100.005", "--json")

    (changed,) = said.lines
    assert (changed["amount"], changed["payout"], changed["revenue"]) == (
        "100.005",
        "8.00",
        "12.00",
    )


@pytest.mark.parametrize("amount", ["1e5", "-1", "1,000", "abc"])
async def test_a_bad_amount_is_wrong_usage(tracker, sale, amount):
    said = tracker("conversions", "adjust", sale, f"--amount={amount}")

    assert said.code == 2
    assert tracker("conversions", "list", "--json").lines[0]["amount"] == "50.00"


async def test_a_command_puts_no_edited_file_in_force(tracker, sale, catalog_file):
    """Whatever partners.yaml lies where an operator happens to stand."""
    catalog_file.write_text(
        catalog_file.read_text().replace("payout: 8%", "payout: 99%")
    )

    tracker("conversions", "adjust", sale, "--amount", "100")

    (told,) = tracker("conversions", "list", "--json").lines
    assert (told["payout"], told["catalog_version"]) == ("8.00", 1)


async def test_a_waived_reason_lets_a_postback_out(tracker, suspect):
    words = ("quarantine", "release", suspect, "--waive", "bad_token", "--by", "ann")
    said = tracker(*words)

    shown = tracker("quarantine", "show", suspect, "--json").document
    assert said.out.startswith(f"{suspect} is accepted: cv_")
    assert (shown["released_by"], shown["waived"]) == ("ann", "bad_token")
    assert tracker("quarantine", "list").err == "nothing to list\n"


async def test_without_a_waiver_it_stays(tracker, suspect):
    said = tracker("quarantine", "release", suspect)

    assert said.code == 1
    assert said.err == (
        f"tracker: {suspect} stays: bad_token, the token is not this advertiser's;"
        " compare the token it sends with its `auth.token`; while it changes, list"
        " both\n"
    )


async def test_a_click_id_can_take_the_place_of_a_wrong_one(tracker, visit, report):
    click_id = await visit()
    outcome = await report("0" * 32)

    said = tracker("quarantine", "release", outcome.postback_id, "--click", click_id)

    assert said.code == 0
    (made,) = tracker("conversions", "list", "--json").lines
    assert made["click_id"] == click_id


async def test_all_of_one_reason_are_released_at_once(tracker, visit, report):
    for _ in range(3):
        await report(await visit(), token="wrong")
    await report(await visit(), goal="unheard-of")

    words = ("quarantine", "release", "--reason", "bad_token", "--waive", "bad_token")
    counted = tracker(*words, "--dry-run")
    unasked = tracker(*words)
    said = tracker(*words, "--yes", "--by", "ann")

    assert counted.out == "3 postbacks would be judged again\n"
    assert (unasked.code, unasked.out) == (1, "")
    assert unasked.err == "tracker: 3 postbacks would be judged again: add --yes\n"
    assert said.out.count("is accepted") == 3
    assert tracker(*words, "--yes").out == ""
    (left,) = tracker("quarantine", "list", "--json").lines
    assert left["reason"] == "unknown_goal"


async def test_a_release_keeps_to_its_time_and_advertiser(tracker, suspect, runtime):
    async with runtime.pool.connection() as connection:
        await connection.execute(
            "update postbacks set received_at = received_at - interval '90 seconds'"
        )
    words = ("quarantine", "release", "--waive", "bad_token", "--dry-run")

    counts = [
        tracker(*words, *chosen).out.split()[0]
        for chosen in (
            ("--since", "2m"),
            ("--since", "1m"),
            ("--until", "1m"),
            ("--until", "2m"),
            ("--advertiser", "acme"),
            ("--advertiser", "globex"),
        )
    ]

    assert counts == ["1", "0", "1", "0", "1", "0"]
    assert len(tracker("quarantine", "list", "--until", "1m", "--json").lines) == 1


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("pb_1", "--reason", "bad_token"),
        ("pb_1", "pb_2", "--click", "0"),
        ("pb_1", "--waive", "no-reason"),
    ],
)
async def test_a_release_of_nothing_in_particular_is_wrong_usage(tracker, words):
    assert tracker("quarantine", "release", *words).code == 2


async def test_a_delivered_one_can_be_sent_again(tracker, lead, deliver, inbox):
    await deliver()
    (delivery,) = tracker("deliveries", "list", "--json").lines

    retried = tracker("deliveries", "retry", delivery["id"])
    replayed = tracker("deliveries", "replay", delivery["id"])
    await deliver()

    assert (retried.code, replayed.code) == (1, 0)
    assert "was delivered; replay it instead" in retried.err
    assert len(inbox.told) == 2
    rounds = tracker("deliveries", "show", delivery["id"], "--json").document
    assert [one["round"] for one in rounds] == [1, 2]


async def test_what_is_still_owed_is_not_replayed(tracker, lead):
    (delivery,) = tracker("deliveries", "list", "--state", "owed", "--json").lines

    said = tracker("deliveries", "replay", delivery["id"])

    assert (said.code, said.out) == (1, "")
    assert "is still owed, or unknown" in said.err


async def test_a_failed_one_is_retried_without_waiting(tracker, lead, deliver, inbox):
    inbox.answers = [500]
    await deliver()
    (delivery,) = tracker("deliveries", "list", "--json").lines

    said = tracker("deliveries", "retry", delivery["id"])

    assert said.out == f"{delivery['id']} is due now\n"
    assert await deliver() == 1
    (done,) = tracker("deliveries", "list", "--state", "delivered", "--json").lines
    assert done["attempts"] == 2


async def test_a_dead_one_says_why_and_is_owed_again(tracker, lead, runtime, deliver):
    async with runtime.pool.connection() as connection:
        await connection.execute(
            "update deliveries set created_at = created_at - interval '8 days'"
        )
    await runtime.deliveries.expire()
    (dead,) = tracker("deliveries", "list", "--reason", "expired", "--json").lines
    shown = tracker("deliveries", "show", dead["id"]).out

    tracker("deliveries", "retry", dead["id"])

    assert (dead["state"], dead["reason"]) == ("dead", DeadReason.EXPIRED)
    assert "still unfinished after" in shown
    assert await deliver() == 1


async def test_a_paused_lane_is_listed_and_resumed(tracker, lead, deliver, inbox):
    inbox.answers = [410]
    await deliver()
    (held,) = tracker("deliveries", "list", "--state", "held", "--json").lines
    (lane,) = tracker("deliveries", "lanes", "--json").lines

    said = tracker("deliveries", "resume", lane["lane"])
    again = tracker("deliveries", "resume", lane["lane"])

    assert (held["reason"], lane["waiting"]) == ("paused_lane", 1)
    assert (said.code, again.code) == (0, 1)
    assert tracker("deliveries", "list", "--state", "held").err == "nothing to list\n"
