"""Every page: for everybody, on every screen, with and without a script."""

import os
import re
from pathlib import Path

import pytest
from watching import list_barriers, list_overflow, shorten

PICTURES = os.environ.get("PICTURES")

DESKTOP = {"width": 1440, "height": 900}
ROOMS = {
    "overview": "/",
    "report": "/report?period=30d&by=partner,offer&compare=previous",
    "report-by-day": "/report?period=30d&by=day",
    "report-by-sub": "/report?period=yesterday&by=sub1,sub2&partner=mailroom",
    "clicks": "/clicks",
    "postbacks": "/postbacks",
    "conversions": "/conversions",
    "deliveries": "/deliveries",
    "quarantine": "/quarantine",
    "link": "/links?partner=bestdeals&offer=stride-shoes",
    "tester": "/tester?partner=bestdeals&offer=stride-shoes",
    "catalog": "/catalog",
    "edit": "/catalog/edit",
    "versions": "/catalog/versions",
    "version": "/catalog/versions/1?whole=1",
    "people": "/people",
    "me": "/me",
    "audit": "/audit",
    "nothing": "/find?id=nothing-like-that",
}
STRANGERS = {"sign-in": "/sign-in"}
PARTNERS = {"partner-report": "/report?period=30d", "partner-clicks": "/clicks"}
STORIES = {
    "click": ("/click/", "select click_id from conversions where changes > 1 limit 1"),
    "hostile": ("/click/", "select id from clicks where sub1 like '<script%%' limit 1"),
    "conversion": ("/conversions/", "select id from conversions limit 1"),
    "postback": (
        "/postbacks/",
        "select id from postbacks where outcome = 'quarantined' limit 1",
    ),
    "delivery": (
        "/deliveries/",
        "select id from delivery_archive where outcome = 'dead' limit 1",
    ),
}


ALL = [*ROOMS, *STORIES, *STRANGERS, *PARTNERS]


@pytest.fixture
def address(desk):
    def address(name):
        for rooms in (ROOMS, STRANGERS, PARTNERS):
            if name in rooms:
                return rooms[name]
        path, query = STORIES[name]
        return path + desk.ask(query)

    return address


def _visitor(name):
    if name in STRANGERS:
        return ""
    return "bea" if name in PARTNERS else "ada"


@pytest.mark.parametrize("name", ALL)
async def test_it_is_for_everybody_on_every_screen(open_as, address, name):
    page = await open_as(_visitor(name), address(name))
    assert await page.locator("h1").count() == 1

    found = await list_overflow(page)
    await _keep(page, f"{name}-1440-light")
    await page.set_viewport_size({"width": 360, "height": 740})
    found += [f"at 360 px: {one}" for one in await list_overflow(page)]
    await _keep(page, f"{name}-360-light")
    await page.set_viewport_size(DESKTOP)
    await page.emulate_media(color_scheme="dark")
    await _keep(page, f"{name}-1440-dark")
    await shorten(page)
    found += [f"dark: {one}" for one in await list_barriers(page, "color-contrast")]
    await page.emulate_media(color_scheme="light")
    found += await list_barriers(page)

    assert found == []


@pytest.mark.parametrize("name", ALL)
async def test_it_is_there_without_a_script(open_as, address, name):
    page = await open_as(_visitor(name), address(name), java_script_enabled=False)

    text = await page.locator("main").inner_text()

    assert await page.locator("h1").count() == 1
    assert not re.search(r"Something went wrong|undefined", text)
    assert len(text) > 30


async def _keep(page, name):
    if PICTURES:
        await page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)
