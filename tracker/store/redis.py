"""Redis (or Valkey): how connections are made."""

from typing import TypeAlias

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

Client: TypeAlias = Redis

UNAVAILABLE = (RedisError, OSError, TimeoutError)
"""What a call raises while Redis is away, slow, full or read-only."""


def make_client(url: str, *, connections: int, timeout: float) -> Client:
    """
    A client that fails soon and retries nothing: its callers know what to do.

    `timeout` is in seconds, for every call; a reader that blocks needs a longer one.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=timeout,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
        # Two round trips at every connect that nobody here reads.
        driver_info=None,
    )
    return Redis.from_pool(pool)


async def faults_of(client: Client) -> list[str]:
    """What in its configuration would break the promise that no click is lost."""
    wanted = {
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
    }
    try:
        found = await client.config_get(*wanted)
    except ResponseError:
        return ["its configuration may not be read, so nobody knows if it is durable"]
    return [
        f"{name} is {found.get(name)}, not {value}"
        for name, value in wanted.items()
        if found.get(name) != value
    ]
