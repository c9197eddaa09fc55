"""Conversions that come in a file: the same rules, each row answered, none twice."""

import csv
from datetime import UTC, datetime, timedelta

import pytest

HEADER = "click_id,transaction_id,goal,amount"


@pytest.fixture
def bring(tracker, tmp_path):
    """Imports these lines; the answers, the counts, and the exit code."""

    def bring(*lines, header=HEADER, words=(), name="november.csv"):
        file, out = tmp_path / name, tmp_path / "answers.csv"
        file.write_text("\n".join([header, *lines, ""]))
        said = tracker(
            "import", str(file), "--advertiser", "acme", "--out", str(out), "--json",
            "--by", "anna", *words,
        )  # fmt: skip
        assert said.err == ""
        answers = [*csv.DictReader(out.read_text("utf-8").splitlines())]
        return [(one["line"], one["verdict"], one["reason"]) for one in answers], said

    return bring


@pytest.fixture
def conversions(tracker):
    def conversions():
        listed = tracker("conversions", "list", "--json").lines
        return [(one["transaction_id"], one["amount"], one["payout"]) for one in listed]

    return conversions


async def test_each_row_is_judged_and_answered(bring, visit, tracker, conversions):
    one, two = await visit(), await visit()

    answers, said = bring(
        f"{one},order-1,sale,50",
        f"{two},order-2,sale,5O",
        f"{two},order-3,sale,20",
        "2n0,order-4,sale,1",
        "too,short",
        f"{one},order-1,sale,50",
    )

    assert answers == [
        ("2", "accepted", ""),
        ("3", "quarantined", "bad_amount"),
        ("4", "accepted", ""),
        ("5", "quarantined", "unknown_click"),
        ("6", "unread", "2 cells, where the header has 4"),
        ("7", "duplicate", "repeated"),
    ]
    assert said.code == 1
    assert conversions() == [("order-3", "20.00", "1.60"), ("order-1", "50.00", "4.00")]
    assert tracker("import", "-", "--advertiser", "acme").code == 2


async def test_the_same_file_again_changes_nothing(bring, visit, conversions, runtime):
    lines = [f"{await visit()},order-{n},sale,50" for n in range(3)]
    bring(*lines[:2])

    again, said = bring(*lines, name="december.csv")

    assert [verdict for _, verdict, _ in again] == [
        "duplicate",
        "duplicate",
        "accepted",
    ]
    assert said.code == 0
    assert len(conversions()) == 3
    async with runtime.pool.connection() as connection:
        kept = await connection.execute("select count(*) from postbacks")
        assert await kept.fetchone() == (3,)


async def test_a_row_in_quarantine_is_there_once_however_often_it_comes(
    bring, tracker, runtime
):
    lines = ["2n0,order-1,sale,1", ",order-2,sale,1", "{click_id},order-3,sale,1"]

    answers = [bring(*lines)[0] for _ in range(2)]

    assert answers[0] == answers[1]
    assert [reason for _, _, reason in answers[0]] == [
        "unknown_click", "missing_click_id", "unfilled_macro",
    ]  # fmt: skip
    assert len(tracker("quarantine", "list", "--json").lines) == 3


async def test_a_rehearsal_decides_and_writes_nothing(bring, visit, tracker, runtime):
    one = await visit()
    lines = [f"{one},order-1,sale,50", f"{one},order-1,sale,50", f"{one},,sale,50"]

    rehearsed, _ = bring(*lines, words=["--dry-run"])
    async with runtime.pool.connection() as connection:
        kept = await connection.execute(
            "select (select count(*) from postbacks), (select count(*) from nonces),"
            " (select count(*) from conversion_keys)"
        )
        assert await kept.fetchone() == (0, 0, 0)
    in_earnest, _ = bring(*lines)

    assert [verdict for _, verdict, _ in rehearsed] == [
        "accepted", "duplicate", "quarantined",
    ]  # fmt: skip
    assert rehearsed == in_earnest


async def test_a_row_has_arrived_when_it_says_and_never_later(bring, visit, tracker):
    past = datetime.now(UTC) - timedelta(hours=2)
    future = datetime.now(UTC) + timedelta(days=2)
    one, two = await visit(), await visit()

    answers, _ = bring(
        f"{one},1,sale,50,{past:%Y-%m-%d %H:%M:%S}",
        f"{two},2,sale,50,{future:%Y-%m-%d}",
        f"{two},3,sale,50,soon",
        header=f"{HEADER},at",
        words=["--timezone", "UTC"],
    )

    found = tracker("conversions", "list", "--json").lines
    late, early = (datetime.fromisoformat(one["converted_at"]) for one in found)
    assert early == past.replace(microsecond=0)
    assert late < datetime.now(UTC)
    assert answers[2] == ("4", "unread", "bad_time: 'soon'")


async def test_a_row_in_quarantine_is_released_like_any_postback(
    bring, visit, tracker, report
):
    one = await visit()
    bring(f"{one}x,order-1,sale,50,s3cret", header=f"{HEADER},token")
    (kept,) = tracker("quarantine", "list", "--json").lines

    released = tracker("quarantine", "release", kept["id"], "--click", one, "--json")

    assert released.document["verdict"] == "accepted"
    assert kept["method"] == "FILE"
    assert kept["path"] == "november.csv:2"
    assert ["token", "***"] in kept["parameters"]
    assert "by anna" in tracker("quarantine", "show", kept["id"]).out


async def test_an_import_that_was_killed_goes_on_where_it_stopped(
    bring, visit, environ, runtime, tmp_path, tracker
):
    lines = [f"{await visit()},order-{n},sale,50" for n in range(20)]
    file = tmp_path / "november.csv"
    file.write_text("\n".join([HEADER, *lines, ""]))
    environ["TRACKER_FAILPOINTS"] = "postback.committed:kill"
    killed = tracker("import", str(file), "--advertiser", "acme", "--by", "anna")
    del environ["TRACKER_FAILPOINTS"]

    answers, said = bring(*lines)

    assert killed.code == -9
    assert said.code == 0
    assert {verdict for _, verdict, _ in answers} <= {"duplicate", "accepted"}
    assert answers[0][1] == "duplicate"
    async with runtime.pool.connection() as connection:
        kept = await connection.execute(
            "select (select count(*) from conversions),"
            " (select count(*) from postbacks), (select count(*) from deliveries)"
        )
        assert await kept.fetchone() == (20, 20, 20)
