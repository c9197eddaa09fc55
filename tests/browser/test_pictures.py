"""The pictures that the README opens with: `make screenshots` takes them anew."""

import os
import shutil
from pathlib import Path

import pytest
import redis

PICTURES = Path(__file__).parent / "screenshots"
IS_WANTED = "PICTURES_OF_README" in os.environ

# One that was told of two changes, the second of them after a failure.
TELLING = """
select click_id
  from conversions
 where partner = 'couponking'
   and changes > 1
   and goal = 'sale'
 order by id desc
 limit 1
"""


@pytest.fixture
def addresses(desk, stores):
    """Pages of a tracker in use: its Redis writes all to disk."""
    if IS_WANTED:
        with redis.Redis.from_url(stores.redis_url) as client:
            client.config_set("appendonly", "yes")
            client.config_set("appendfsync", "always")
    return {
        "overview": "/?period=7d",
        "report": "/report?period=7d&by=partner,offer",
        "click": f"/click/{desk.ask(TELLING)}",
    }


@pytest.mark.parametrize("name", ["overview", "report", "click"])
async def test_there_is_a_picture_of_it(open_as, addresses, name, tmp_path):
    page = await open_as("olga", addresses[name])
    taken = tmp_path / f"{name}.png"

    await page.screenshot(path=taken)

    if IS_WANTED:
        shutil.copy(taken, PICTURES / taken.name)
    assert (PICTURES / taken.name).stat().st_size < 300_000
