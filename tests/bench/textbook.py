"""
What most people would write: the ordinary route, one store call after another.

A click is one redis-py `SET`, awaited; a postback is one `select` and two `insert`s
in a transaction. No signature, no stream, no quarantine, no terms.
"""

import json
import os
import secrets
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import urlencode

from psycopg_pool import AsyncConnectionPool
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

TABLES = """
create table if not exists book_conversions (
  id text primary key, click_id text, transaction_id text, amount numeric,
  unique (click_id, transaction_id)
);
create table if not exists book_deliveries (id text primary key, url text);
"""


@asynccontextmanager
async def lifespan(app):
    async with (
        Redis.from_url(os.environ["TRACKER_REDIS_URL"]) as redis,
        AsyncConnectionPool(
            os.environ["TRACKER_DATABASE_URL"], min_size=8, max_size=8, open=False
        ) as pool,
    ):
        async with pool.connection() as connection:
            await connection.execute(TABLES)
        app.state.redis, app.state.pool = redis, pool
        yield


async def click(request):
    click_id = secrets.token_hex(16)
    record = {
        "partner": request.path_params["partner"],
        "offer": request.path_params["offer"],
        "query": dict(request.query_params),
        "address": request.client.host,
        "user_agent": request.headers.get("user-agent"),
        "referrer": request.headers.get("referer"),
        "language": request.headers.get("accept-language"),
        "at": datetime.now(UTC).isoformat(),
    }
    await request.app.state.redis.set(f"click:{click_id}", json.dumps(record), ex=86400)
    query = urlencode({"cid": click_id, "s": request.query_params.get("sub1", "")})
    return RedirectResponse(f"https://shop.example/landing?{query}", 302)


async def postback(request):
    said = request.query_params
    async with request.app.state.pool.connection() as connection:
        cursor = await connection.execute(
            "select id from book_conversions"
            " where click_id = %s and transaction_id = %s",
            (said["click_id"], said["transaction_id"]),
        )
        if await cursor.fetchone():
            return JSONResponse({"status": "duplicate"})
        conversion_id = secrets.token_hex(16)
        await connection.execute(
            "insert into book_conversions values (%s, %s, %s, %s)",
            (conversion_id, said["click_id"], said["transaction_id"], said["amount"]),
        )
        await connection.execute(
            "insert into book_deliveries values (%s, %s)",
            (
                secrets.token_hex(16),
                f"https://partner.example/?tx={said['transaction_id']}",
            ),
        )
    return JSONResponse({"status": "accepted", "id": conversion_id})


app = Starlette(
    routes=[
        Route("/c/{partner}/{offer}", click),
        Route("/postback", postback, methods=["GET", "POST"]),
    ],
    lifespan=lifespan,
)
