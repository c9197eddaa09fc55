import pytest
from cast import TOKEN

from tracker.domain.errors import NotFoundError, RefusedChangeError
from tracker.domain.outcome import Reason, Verdict
from tracker.flow.catalog import open_catalog
from tracker.flow.quarantine import Pardon, release_postback
from tracker.flow.trace import trace

ORDER = {"goal": "sale", "transaction_id": "t-1", "amount": "10"}


@pytest.fixture
def release(runtime):
    async def release(answer, **pardon):
        postback_id = answer.json()["postback_id"]
        return await release_postback(runtime, postback_id, Pardon("ann", **pardon))

    return release


async def test_a_waived_reason_lets_the_postback_count(
    visit, advertiser, release, partner, rows, run_worker_once
):
    """Until then no partner hears of it; afterwards it is told as ever."""
    answer = await advertiser.report(await visit(sub1="one"), token="old", **ORDER)
    await run_worker_once()
    assert partner.told == []

    outcome = await release(answer, waived=Reason.BAD_TOKEN)
    await run_worker_once()

    assert outcome.verdict is Verdict.ACCEPTED
    assert [told["cid"] for told in partner.told] == ["one"]
    (row,) = await rows("select * from postbacks")
    assert (row["outcome"], row["quarantined_for"]) == ("accepted", "bad_token")
    assert (row["released_by"], row["waived"]) == ("ann", "bad_token")


@pytest.mark.parametrize("sent", ["{click_id}", "[CLICKID]", "Order 100 of Bill"])
async def test_a_click_id_that_is_none_is_kept_as_it_was_sent(
    advertiser, runtime, rows, sent
):
    """Whoever corrects its sender must see what it sends, and looks for that."""
    await advertiser.report(sent)

    assert await rows("select click_id from postbacks") == [{"click_id": sent}]
    traced = await trace(runtime, sent)
    assert [one.click_id for one in traced.postbacks] == [sent]


async def test_what_has_the_form_of_a_click_id_is_found_in_any_spelling(
    advertiser, runtime
):
    """Of a key that is retired, say: its click may be in the log all the same."""
    await advertiser.report("OIL" + "7" * 29)

    for spelled in ("OIL" + "7" * 29, "011" + "7" * 29):
        traced = await trace(runtime, spelled)
        assert [one.click_id for one in traced.postbacks] == ["011" + "7" * 29]


async def test_only_the_named_reason_is_waived(visit, advertiser, release, rows):
    """It may end in another one, and stays visible."""
    wrong = {**ORDER, "amount": "9999"}
    answer = await advertiser.report(await visit(), token="old", **wrong)

    outcome = await release(answer, waived=Reason.BAD_TOKEN)

    assert (outcome.verdict, outcome.reason) == ("quarantined", "over_limit")
    assert await rows("select reason, quarantined_for from postbacks") == [
        {"reason": "over_limit", "quarantined_for": "bad_token"}
    ]


async def test_a_wrong_token_is_still_wrong_without_a_waiver(
    visit, advertiser, release
):
    """The token is gone, its hash is not."""
    answer = await advertiser.report(await visit(), token="old", **ORDER)
    outcome = await release(answer)
    assert outcome.reason is Reason.BAD_TOKEN


async def test_an_unmatched_postback_is_matched_by_hand(
    visit, advertiser, release, rows
):
    click_id = await visit()
    answer = await advertiser.report("their-own-user-id", **ORDER)

    assert (await release(answer)).reason is Reason.UNKNOWN_CLICK
    outcome = await release(answer, click_id=click_id, waived=Reason.BAD_TOKEN)

    assert outcome.verdict is Verdict.ACCEPTED
    assert await rows("select click_id from conversions") == [{"click_id": click_id}]


async def test_a_postback_is_released_once(visit, advertiser, release):
    answer = await advertiser.report(await visit(), token="old", **ORDER)
    await release(answer, waived=Reason.BAD_TOKEN)
    with pytest.raises(NotFoundError):
        await release(answer, waived=Reason.BAD_TOKEN)


async def test_what_leaves_nothing_to_record_cannot_be_waived(
    visit, advertiser, release
):
    answer = await advertiser.report(await visit(), **{**ORDER, "amount": "abc"})
    with pytest.raises(RefusedChangeError):
        await release(answer, waived=Reason.BAD_AMOUNT)


@pytest.mark.parametrize("postback_id", ["pb_1", "nonsense", "", "pb_" + "0" * 24])
async def test_a_postback_that_is_not_there_is_not_found(runtime, postback_id):
    with pytest.raises(NotFoundError):
        await release_postback(runtime, postback_id, Pardon("ann"))


async def test_a_waiver_for_another_advertiser_s_click_makes_no_second_conversion(
    visit, client, release, rows
):
    """The action is the owner's, whoever was let to report it."""
    click_id = await visit("bestdeals/shoes")
    stranger = {"cid": click_id, "secret": "another-token"}
    answer = await client.get("/postback/globex", params=stranger)
    await release(answer, waived=Reason.WRONG_ADVERTISER)

    own = {"click_id": click_id, "token": "s3cret-token"}
    again = await client.get("/postback/acme", params=own)

    assert again.json()["status"] == "duplicate"
    assert await rows("select advertiser from conversions") == [{"advertiser": "acme"}]


@pytest.fixture
def fix(runtime, catalog_file):
    """An operator edits the file, and it comes into force."""

    async def fix(old, new):
        text = catalog_file.read_text()
        assert text.count(old) == 1, old
        catalog_file.write_text(text.replace(old, new))
        version = runtime.catalog.version
        await open_catalog(runtime)
        assert runtime.catalog.version == version + 1

    return fix


ACME = "    name: Acme\n"


async def test_a_name_that_was_missing_is_read_after_a_fix(
    visit, client, fix, release, rows
):
    sent = {"clickid": await visit(), "token": TOKEN}
    answer = await client.get("/postback/acme", params=sent)
    assert answer.json()["reason"] == "missing_click_id"

    await fix(ACME, f"{ACME}    postback: {{params: {{click_id: clickid}}}}\n")
    outcome = await release(answer)

    assert outcome.verdict is Verdict.ACCEPTED
    assert await rows("select click_id from conversions") == [
        {"click_id": sent["clickid"]}
    ]


async def test_an_advertiser_that_was_unknown_is_believed_after_a_fix(
    visit, client, fix, release, rows
):
    """
    Its token was a parameter as any other, proves it all the same, and is masked as
    soon as it is known for one.
    """
    sent = {"click_id": await visit(), "pass": "the-key-of-initech"}
    answer = await client.get("/postback/newcomer", params=sent)
    assert answer.json()["reason"] == "unknown_advertiser"

    newcomer = (
        "  newcomer:\n"
        '    auth: {token: "${INITECH_KEY}"}\n'
        "    postback: {params: {token: pass}}\n"
    )
    await fix("\noffers:\n", f"\n{newcomer}offers:\n")
    outcome = await release(answer, waived=Reason.WRONG_ADVERTISER)

    assert outcome.verdict is Verdict.ACCEPTED
    assert await rows("select advertiser from conversions") == [{"advertiser": "acme"}]
    (kept,) = await rows("select parameters from postbacks")
    assert kept["parameters"] == [["click_id", sent["click_id"]], ["pass", "***"]]


async def test_a_segment_of_the_path_is_read_after_a_fix(visit, client, fix, release):
    answer = await client.get(f"/postback/acme/lead/{await visit()}?token={TOKEN}")
    assert answer.json()["reason"] == "missing_click_id"

    params = 'postback: {params: {click_id: "path:2", goal: "path:1"}}'
    await fix(ACME, f"{ACME}    {params}\n")

    assert (await release(answer)).verdict is Verdict.ACCEPTED


async def test_a_goal_that_was_unknown_counts_after_a_fix(
    visit, advertiser, fix, release, rows
):
    answer = await advertiser.report(await visit(), goal="e7")
    assert answer.json()["reason"] == "unknown_goal"

    await fix(ACME, f"{ACME}    postback: {{goals: {{e7: lead}}}}\n")

    assert (await release(answer)).verdict is Verdict.ACCEPTED
    assert await rows("select goal from conversions") == [{"goal": "lead"}]


async def test_a_status_that_was_unknown_counts_after_a_fix(
    visit, advertiser, fix, release, rows
):
    answer = await advertiser.report(await visit(), status="hold")
    assert answer.json()["reason"] == "unknown_status"

    await fix(ACME, f"{ACME}    postback: {{statuses: {{pending: hold}}}}\n")

    assert (await release(answer)).verdict is Verdict.ACCEPTED
    assert await rows("select status from conversions") == [{"status": "pending"}]


async def test_a_token_that_was_masked_by_a_release_still_proves_at_the_next(
    visit, client, fix, release
):
    sent = {"click_id": await visit(), "pwd": TOKEN, "event": "SALE"}
    answer = await client.get("/postback/acme", params=sent)
    params = "params: {token: pwd, goal: event}"
    await fix(ACME, f"{ACME}    postback: {{{params}}}\n")
    assert (await release(answer)).reason is Reason.UNKNOWN_GOAL

    await fix(params, f"{params}, goals: {{SALE: lead}}")

    assert (await release(answer)).verdict is Verdict.ACCEPTED


async def test_a_token_in_the_path_is_masked_by_a_release(
    visit, client, fix, release, rows
):
    sent = {"click_id": await visit(), "goal": "lead"}
    answer = await client.get("/postback/acme/sold/old-one", params=sent)
    assert answer.json()["reason"] == "missing_token"

    await fix(ACME, f'{ACME}    postback: {{params: {{token: "path:2"}}}}\n')

    assert (await release(answer)).reason is Reason.BAD_TOKEN
    (kept,) = await rows("select path, parameters from postbacks")
    assert kept["path"] == "/postback/acme/sold/***"
    assert "old-one" not in str(kept)
