"""What people come for, done as a person would do it."""

import re
from urllib.parse import parse_qs, urlsplit

from playwright.async_api import expect
from seeded import PASSWORD

QUARANTINED = """
select id from postbacks
 where outcome = 'quarantined' and reason = %s and released_at is null
 order by id desc limit 1
"""
SPOILT = "offers:\n  spoilt: {advertiser: nobody}\n"


async def test_signing_in_leads_where_one_wanted_to_go(open_as):
    page = await open_as("", "/quarantine?reason=bad_token")
    await expect(page.locator("h1")).to_contain_text("Sign in")

    await page.get_by_label("Name").fill("olga")
    await page.get_by_label("Password").fill("not her password")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_be_visible()
    await page.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")

    await page.wait_for_url(re.compile(r"/quarantine\?reason=bad_token"))
    await page.get_by_role("button", name="Sign out").click()
    await page.goto("/quarantine")
    assert "/sign-in" in page.url


async def test_what_earned_yesterday_is_two_clicks_away(page):
    await page.get_by_role("link", name="Yesterday").click()
    await page.get_by_role("link", name="Offers").first.click()

    query = parse_qs(urlsplit(page.url).query)
    assert (query["by"], query["period"]) == (["offer"], ["yesterday"])
    profit = page.locator("th", has_text="Profit")
    await expect(profit.first).to_be_visible()
    await expect(
        page.get_by_role("row", name=re.compile("stride-shoes"))
    ).to_be_visible()


async def test_a_row_of_a_report_leads_deeper(open_as):
    page = await open_as("vera", "/report?period=30d&by=partner")

    await page.get_by_role("link", name="bestdeals", exact=True).click()

    assert parse_qs(urlsplit(page.url).query)["partner"] == ["bestdeals"]
    await expect(page.locator("tbody tr").first).to_be_visible()


async def test_a_report_is_asked_for_by_its_form(open_as):
    page = await open_as("vera", "/report?period=7d&by=partner")

    await page.locator("select[name=by]").first.select_option("country")
    await page.get_by_role("button", name="Show").click()

    await page.wait_for_url(re.compile("by=country"))
    await expect(page.get_by_role("row", name=re.compile("^DE"))).to_be_visible()


async def test_why_a_conversion_did_not_show_is_said_with_what_to_do(page, desk):
    postback = desk.ask(QUARANTINED, "unknown_goal")

    await page.get_by_role("searchbox", name="Find any id").fill(postback)
    await page.keyboard.press("Enter")

    main = page.locator("main")
    await expect(main).to_contain_text("unknown_goal")
    await expect(main).to_contain_text("To do:")


async def test_what_exactly_a_partner_was_told_is_on_the_page(page, desk):
    delivery = desk.ask(
        "select id from delivery_archive where outcome = 'delivered' and "
        "partner = 'bestdeals' order by id limit 1"
    )
    url = desk.ask("select url from delivery_attempts where delivery_id = %s", delivery)

    await page.get_by_role("searchbox", name="Find any id").fill(delivery)
    await page.keyboard.press("Enter")

    await expect(page.locator("main")).to_contain_text(url)
    await expect(page.locator("main")).to_contain_text("200")


async def test_a_postback_is_released_from_quarantine(open_as, desk):
    page = await open_as("olga", "/quarantine?reason=bad_token")
    postback = desk.ask(QUARANTINED, "bad_token")

    await page.get_by_label(f"Choose {postback}").check()
    await page.get_by_label(re.compile("waive", re.IGNORECASE)).select_option(
        "bad_token"
    )
    await page.get_by_role("button", name="Release those chosen").click()

    await expect(page.get_by_role("status").first).to_contain_text("1 released")
    assert (
        desk.ask("select waived from postbacks where id = %s", postback) == "bad_token"
    )


async def test_a_dead_delivery_is_sent_again(open_as, desk):
    delivery = desk.ask(
        "select id from delivery_archive where outcome = 'dead' and "
        "partner = 'couponking' order by id limit 1"
    )
    page = await open_as("olga", f"/deliveries/{delivery}")

    await page.get_by_role(
        "button", name=re.compile("again|replay", re.IGNORECASE)
    ).click()

    await page.wait_for_load_state()
    assert desk.ask("select round from deliveries where id = %s", delivery) == 2


async def test_a_link_is_built_and_previewed(open_as):
    page = await open_as("vera", "/links")

    await page.get_by_label("Partner").fill("bestdeals")
    await page.get_by_label("Offer").fill("stride-shoes")
    await page.get_by_label("sub1", exact=True).fill("{gclid}")
    await page.get_by_role("button", name="Show the link").click()

    link = page.locator("#link")
    await expect(link).to_contain_text("https://go.network.example/c/bestdeals/")
    await expect(page.locator("main")).to_contain_text("https://shop.stride.example/")


async def test_a_postback_is_tried_before_anybody_sends_it(open_as):
    page = await open_as("olga", "/tester?partner=couponking&offer=stride-shoes")

    await page.get_by_role("button", name="Make a click").click()
    await expect(page.locator("#made")).to_be_visible()
    await page.get_by_role("button", name="What would come of it").click()

    result = page.locator("#result")
    await expect(result).to_contain_text("What would be decided")
    await expect(result).to_contain_text(
        "https://api.couponking.example/v2/conversions"
    )


async def test_a_faulty_catalog_is_refused_and_a_right_one_can_be_undone(open_as, desk):
    page = await open_as("olga", "/catalog/edit")
    editor = page.get_by_label("Text of partners.yaml")
    before = await editor.input_value()

    await editor.fill(before.replace("offers:\n", SPOILT, 1))
    await expect(page.locator("#findings")).to_contain_text("line")
    await page.get_by_role("button", name="Put in force").click()
    await expect(page.locator("#findings .urgent").first).to_be_visible()
    assert desk.ask("select max(version) from catalog_versions") == 1

    right = before.replace("name: Quiet Corner", "name: Quiet Corner Ltd  # since May")
    await editor.fill(right)
    await page.get_by_role("button", name="Put in force").click()
    await page.wait_for_url(re.compile("/catalog(?!/edit)"))
    assert desk.catalog.read_text() == right

    await page.goto("/catalog/versions/1")
    await page.get_by_role("button", name="Restore").click()
    await page.wait_for_load_state()
    assert desk.catalog.read_text() == before


async def test_new_rows_come_by_themselves(open_as, ledger, desk):
    page = await open_as("vera", "/clicks")
    await page.get_by_role("button", name="Live").click()
    await expect(page.get_by_role("button", name="Live")).to_have_attribute(
        "aria-pressed", "true"
    )

    await expect(page.get_by_role("status")).to_have_text("Waiting for what comes")

    new = desk.mint()
    ledger.execute(A_NEW_CLICK, new)

    await expect(page.locator(f'a[href="/click/{new}"]')).to_be_visible()


A_NEW_CLICK = """
insert into clicks (day, id, clicked_at, class, partner_number, offer_number,
                    catalog_version, traffic)
select (now() at time zone 'UTC')::date, %s, now(), 0, 1, 1, 1, 'visit'
"""


async def test_a_partner_sees_its_own_and_no_more(open_as, desk):
    page = await open_as("bea", "/")

    await expect(page.locator("h1")).to_have_text("Report")
    rooms = page.get_by_role("navigation", name="Rooms").locator("a")
    assert not {"Catalog", "Quarantine"} & {*await rooms.all_inner_texts()}
    assert "Revenue" not in await page.locator("main").inner_text()
    await page.goto("/clicks")
    theirs = desk.ask(
        "select click_id from conversions where partner <> 'bestdeals' limit 1"
    )
    assert (await page.goto(f"/click/{theirs}")).status == 404


async def test_a_partner_is_invited_and_comes_in(open_as):
    page = await open_as("ada", "/people")
    await page.get_by_label("Name to sign in by").fill("kim@couponking.example")
    await page.get_by_label("Role").select_option("partner")
    await page.get_by_label("Partner's key").fill("couponking")
    await page.get_by_role("button", name="Make a link").click()
    waiting = page.get_by_role("article").filter(has_text="kim@couponking")
    link = await waiting.locator("code").filter(has_text="/invitations/").inner_text()

    theirs = await open_as("", urlsplit(link).path)
    await theirs.get_by_label("Password").fill(PASSWORD)
    await theirs.get_by_label("The same again").fill(PASSWORD)
    await theirs.get_by_role("button", name="Set the password").click()
    if "/sign-in" in theirs.url:
        await theirs.get_by_label("Name").fill("kim@couponking.example")
        await theirs.get_by_label("Password").fill(PASSWORD)
        await theirs.get_by_role("button", name="Sign in").click()

    await theirs.goto("/conversions")
    await expect(theirs.locator("tbody tr").first).to_be_visible()
    assert (await theirs.goto("/people")).status == 403


async def test_a_token_is_shown_once(open_as):
    page = await open_as("vera", "/me")
    await page.get_by_label("What is it for?").fill("nightly export")
    await page.get_by_role("button", name="Make a token").click()
    token = await page.locator("#token").inner_text()
    assert len(token) > 20

    await page.goto("/me")

    await expect(page.locator("main")).to_contain_text("nightly export")
    assert token not in await page.content()


async def test_keys_lead_everywhere(page):
    await page.keyboard.press("g")
    await page.keyboard.press("r")
    await page.wait_for_url(re.compile("/report"))

    await page.keyboard.press("?")
    await expect(page.locator("#keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("/")
    await expect(page.get_by_role("searchbox", name="Find any id")).to_be_focused()


async def test_the_keyboard_alone_reaches_the_content(page):
    await page.keyboard.press("Tab")

    skip = page.get_by_role("link", name="Skip to the content")
    await expect(skip).to_be_focused()
    await page.keyboard.press("Enter")
    assert page.url.endswith("#main")


async def test_a_chart_is_drawn_and_says_the_same_as_its_table(page):
    await expect(page.locator("figure.chart canvas")).to_be_visible()

    rows = page.locator("figure.chart details tbody tr")
    assert await rows.count() == 7
