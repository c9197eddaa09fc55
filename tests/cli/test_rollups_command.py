"""`tracker rollups rebuild`: what reports read, counted again."""

from tracker.flow.clicklog import fold_clicks


async def test_what_was_miscounted_is_right_again(tracker, runtime, visit):
    await visit()
    await fold_clicks(runtime, 0)
    async with runtime.pool.connection() as connection:
        await connection.execute("update click_rollups set clicks = 99")

        said = tracker("rollups", "rebuild").out

        cursor = await connection.execute("select clicks from click_rollups")
        assert await cursor.fetchall() == [(1,)]
    assert "days of clicks, and all conversions" in said
    assert tracker("rollups", "rebuild", "--json").document["days"] > 0
