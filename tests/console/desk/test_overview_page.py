"""The first page: that of staff, and where a partner goes instead."""

from desk_catalog import TOKEN


async def test_staff_see_what_is_earning_and_what_is_broken(operator, runtime):
    await runtime.lanes.pause("bestdeals/all@gone.example", "410")

    page = (await operator.get("/")).text

    assert "nothing to compare with" in page
    assert "Nothing is sent to bestdeals (all at gone.example)" in page
    assert "/deliveries?partner=bestdeals" in page
    assert TOKEN not in page


async def test_the_first_page_of_a_partner_is_its_report(as_role):
    async with as_role("partner", "quiet") as partner:
        sent = await partner.get("/")
        page = await partner.get(sent.headers["location"])

    assert (sent.status_code, sent.headers["location"]) == (303, "/report")
    assert page.status_code == 200


async def test_of_a_day_that_goes_on_it_is_said_that_it_does(operator):
    this_week = (await operator.get("/?period=7d")).text
    yesterday = (await operator.get("/?period=yesterday")).text

    assert "Today is not over" in this_week
    assert "Today is not over" not in yesterday
