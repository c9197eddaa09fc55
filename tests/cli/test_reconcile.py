"""A network's statement beside ours: what agrees, what does not, and why."""

import csv
from datetime import UTC, datetime, timedelta

import pytest

TODAY = datetime.now(UTC).date()
MONTH = (
    "--from",
    str(TODAY - timedelta(days=1)),
    "--to",
    str(TODAY + timedelta(days=2)),
)
HEADER = "click_id,transaction_id,goal,status,amount"


@pytest.fixture
def sale(visit, report):
    """A sale that was reported; its click id."""

    async def sale(order, amount="50", click=None, **said):
        click = click or await visit()
        await report(click, goal="sale", transaction_id=order, amount=amount, **said)
        return click

    return sale


@pytest.fixture
def reconcile(tracker, tmp_path):
    """Reconciles these lines; the kinds, what differs, and the exit code."""

    def reconcile(*lines, header=HEADER, words=MONTH, encoding="utf-8"):
        file, out = tmp_path / "network.csv", tmp_path / "out.csv"
        file.write_bytes("\n".join([header, *lines, ""]).encode(encoding))
        said = tracker(
            "reconcile", str(file), "--advertiser", "acme", "--out", str(out), "--json",
            *words,
        )  # fmt: skip
        assert said.err == ""
        kinds = {one["kind"]: one["count"] for one in said.document["kinds"]}
        with out.open(encoding="utf-8", newline="") as rows:
            found = [*csv.DictReader(rows)]
        return kinds, found, said.code

    return reconcile


async def test_a_statement_that_says_the_same_agrees(reconcile, sale):
    clicks = [await sale(f"order-{n}", f"{n}.50") for n in range(1, 4)]

    kinds, found, code = reconcile(
        *(f"{one},order-{n},sale,pending,{n}.50" for n, one in enumerate(clicks, 1))
    )

    assert (kinds, found, code) == ({"matched": 3}, [], 0)


async def test_every_kind_of_difference_is_found(reconcile, sale, visit, report):
    one, two, _ = [await sale(f"order-{n}") for n in range(3)]
    late = await visit()
    await report(late, goal="nothing", transaction_id="order-8")

    kinds, found, code = reconcile(
        f"{one},order-0,sale,pending,50",
        f"{one},order-0,sale,pending,50",
        f"{two},order-1,sale,approved,49.98",
        f"{late},order-8,sale,pending,5",
        f"{await visit()},order-9,sale,pending,5",
        "nonsense,order-7,sale,pending,5",
        f"{await visit()},order-6,sale,rejected,5",
        f"{one},order-5,sale,pending,5O",
        "only,two",
    )

    assert code == 1
    assert kinds == {
        "matched": 1, "repeated": 1, "different": 1, "missing_here": 3, "void": 1,
        "unread": 2, "missing_there": 1,
    }  # fmt: skip
    told = [
        (row["line"], row["kind"], row["differences"], row["reason"]) for row in found
    ]
    assert told == [
        ("3", "repeated", "", "as line 2"),
        ("4", "different", "status amount", ""),
        ("5", "missing_here", "", "quarantined: unknown_goal"),
        ("6", "missing_here", "", "never_came"),
        ("7", "missing_here", "", "never_came: unknown_click"),
        ("9", "unread", "", "bad_amount: '5O'"),
        ("10", "unread", "", "2 cells, where the header has 5"),
        ("", "missing_there", "", ""),
    ]
    assert found[-1]["our_transaction_id"] == "order-2"


async def test_several_lines_of_one_conversion_count_together(reconcile, sale, report):
    one, two = await sale("order-1"), await sale("order-2")
    await report(one, goal="sale", transaction_id="order-1", status="approved")
    refund = {"status": "refunded", "amount": "20"}
    await report(two, goal="sale", transaction_id="order-2", **refund)

    kinds, found, _ = reconcile(
        f"{one},order-1,sale,pending,50",
        f"{one},order-1,sale,approved,50",
        f"{two},order-2,sale,pending,50",
        f"{two},order-2,sale,pending,-20",
    )

    assert (kinds, found) == ({"matched": 2}, [])


@pytest.mark.parametrize(
    ("first", "last", "kind"),
    [
        ("approved,500.00", "approved,50.00", "different"),
        ("approved,50.00", "approved,50.00", "different"),
        ("pending,50.00", "pending,50.00", "different"),
        (",50.00", ",50.00", "different"),
        ("approved,20.00", "approved,30.00", "matched"),
        ("pending,500.00", "approved,50.00", "matched"),
        ("rejected,50.00", "approved,50.00", "matched"),
    ],
)
async def test_a_sale_that_is_billed_twice_does_not_agree(
    reconcile, sale, report, first, last, kind
):
    click = await sale("order-1", "50.00")
    if last.startswith("approved"):
        await report(click, goal="sale", transaction_id="order-1", status="approved")

    kinds, found, _ = reconcile(
        *(f"{click},order-1,sale,{said},{TODAY} 0{hour}:00"
          for hour, said in enumerate((first, last))),
        header=f"{HEADER},at",
    )  # fmt: skip

    assert kinds == {kind: 1}
    assert [one["differences"] for one in found] == ["amount"] * len(found)


async def test_a_line_without_a_transaction_is_known_by_its_click(
    reconcile, visit, report, sale
):
    lead, other = await visit(), await sale("order-1")
    await report(lead)

    kinds, found, _ = reconcile(
        f"{lead.upper()},lead,approved",
        f"{other},sale,approved",
        header="click_id,goal,status",
    )

    assert kinds == {"matched": 1, "different": 1}
    assert [(one["differences"], one["our_transaction_id"]) for one in found] == [
        ("status", "order-1")
    ]


async def test_midnight_elsewhere_makes_nothing_missing(reconcile, sale):
    one, two = await sale("order-1"), await sale("order-2")
    yesterday, today = TODAY - timedelta(days=1), TODAY

    def on(day, *lines):
        until = ("--from", str(day), "--to", str(day + timedelta(days=1)))
        words = (*until, "--timezone", "UTC")
        return reconcile(*lines, header="click_id,transaction_id,at", words=words)[0]

    lines = [f"{one},order-1,{yesterday}T23:59", f"{two},order-2,{today}T00:00"]
    unknown = f"{two},order-9,{today - timedelta(days=9)}"

    assert on(today, *lines) == {"matched": 2}
    assert on(yesterday, *lines, unknown) == {"matched": 1, "outside": 2}


async def test_without_bounds_the_days_of_the_lines_are_compared(reconcile, sale):
    one, _ = await sale("order-1"), await sale("order-2")

    kinds, found, code = reconcile(
        f"{one},order-1,{TODAY}", header="click_id,transaction_id,at", words=()
    )

    assert (kinds, code) == ({"matched": 1, "missing_there": 1}, 1)
    assert found[0]["our_amount"] == "50.00"


@pytest.mark.parametrize(
    "order",
    ["null", "\\N", "\\.", "a\\b", 'say "hi"', "line\nbreak", "tab\there", "é", "a,b"],
)
async def test_what_a_line_says_is_kept_to_the_letter(reconcile, visit, order):
    quoted = order.replace('"', '""')

    _, found, _ = reconcile(f'{await visit()},"{quoted}",sale,pending,5')

    assert [one["transaction_id"] for one in found] == [order]


async def test_what_postgres_cannot_keep_is_replaced(reconcile, visit):
    _, found, _ = reconcile(f"{await visit()},order\0-1,sale,pending,5")

    assert [one["transaction_id"] for one in found] == ["order\ufffd-1"]


async def test_what_a_stranger_wrote_is_no_formula_in_the_file(reconcile, visit):
    _, found, _ = reconcile(f"{await visit()},=1+1,sale,pending,5")

    assert found[0]["transaction_id"] == "'=1+1"


async def test_a_file_that_cannot_be_understood_is_wrong_usage(
    tracker, runtime, tmp_path
):
    file = tmp_path / "network.csv"
    file.write_text("who,what\n1,2\n")

    for words, said in {
        ("--columns", "click_id=whom"): "did you mean who?",
        ("--columns", "click_id=who"): "Say --from and --to",
        ("--columns", "click_id=who", "--from", "soon"): "is no day",
        ("--timezone", "Mars", "--columns", "click_id=who", "--from", "2026-01-01"): (
            "'Mars' is no time zone"
        ),
    }.items():
        refused = tracker("reconcile", str(file), "--advertiser", "acme", *words)
        assert (refused.code, said in " ".join(refused.err.split())) == (2, True), words
