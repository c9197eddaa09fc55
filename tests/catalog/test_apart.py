"""Checking in a process of its own costs the event loop nothing and leaks nothing."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tracker.catalog import (
    FaultyCatalogError,
    apart,
    check_text,
    draft_apart,
    draft_catalog,
    load_snapshot,
    seal_draft,
)
from tracker.domain.errors import CatalogError

MANY = 10_000


def many_partners() -> str:
    head = """
version: 1
currency: USD
advertisers:
  acme: {auth: {token: "${ACME_TOKEN}"}}
offers:
  shoes:
    advertiser: acme
    url: https://shop.acme.example/?cid={click_id}
    goals: {sale: {payout: 8%, revenue: 12%}}
partners:
"""
    return head + "".join(
        f"""
  partner-{n}:
    name: Partner {n}
    offers: {{shoes: {{goals: {{sale: {{payout: 10%}}}}}}}}
    postbacks:
      - id: sales
        url: https://p{n}.example/pb?cid={{sub1}}&payout={{payout}}
        when: {{goals: [sale], statuses: [approved]}}
"""
        for n in range(MANY)
    )


class Stopwatch:
    """How long the event loop was kept from running."""

    def __init__(self):
        self.longest = 0.0

    async def __aenter__(self):
        self._task = asyncio.create_task(self._watch())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_):
        self._task.cancel()

    async def _watch(self):
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            self.longest = max(self.longest, now - last)
            last = now


async def test_the_child_says_what_we_would_say(good, secrets):
    here = draft_catalog(check_text(good, "p.yaml", secrets))

    assert await draft_apart(good.encode(), "p.yaml", secrets) == here


async def test_the_child_names_the_faults(secrets):
    with pytest.raises(FaultyCatalogError) as caught:
        await draft_apart(b"version: 2\ncurrency: usd", "p.yaml", secrets)

    assert [fault.path for fault in caught.value.faults] == ["version", "currency"]


async def test_a_snapshot_of_before_that_is_damaged_is_said_to_be(good, secrets):
    with pytest.raises(CatalogError, match="not a snapshot"):
        await draft_apart(good.encode(), "p.yaml", secrets, b"rubbish")


async def test_ten_thousand_partners_never_stop_the_loop(secrets, capsys):
    raw = many_partners().encode()
    started = time.perf_counter()

    async with Stopwatch() as checking:
        draft = await draft_apart(raw, "p.yaml", secrets)
    checked = time.perf_counter()
    numbers = {key: n for n, key in enumerate(draft.keys, start=1)}
    snapshot = seal_draft(draft, version=1, numbers=numbers)
    async with Stopwatch() as loading:
        loaded_from = time.perf_counter()
        catalog = await load_snapshot(snapshot, secrets)

    with capsys.disabled():
        sys.stdout.write(
            f"\n{MANY} partners: checked in {checked - started:.1f} s"
            f" (loop kept {checking.longest * 1000:.0f} ms), loaded in"
            f" {(time.perf_counter() - loaded_from) * 1000:.0f} ms"
            f" (loop kept {loading.longest * 1000:.0f} ms), {len(snapshot)} bytes\n"
        )
    assert len(catalog.partners) == MANY
    assert checked - started < 60
    # 10 ms on a quiet machine; tests share theirs.
    assert loading.longest < 0.2


async def test_a_check_that_takes_too_long_is_given_up(good, secrets):
    with pytest.raises(CatalogError, match=r"took longer than 0\.01 s"):
        await draft_apart(good.encode(), "p.yaml", secrets, seconds=0.01)


async def test_a_child_that_dies_is_an_error_and_not_a_wait(good, secrets, monkeypatch):
    monkeypatch.setattr(apart.sys, "executable", "/bin/false")

    with pytest.raises(CatalogError, match="the check ended with code 1"):
        await draft_apart(good.encode(), "p.yaml", secrets)


async def test_a_cancelled_check_leaves_no_process(secrets, monkeypatch):
    children = asyncio.Queue()
    start = apart._start_child

    async def noted():
        child = await start()
        children.put_nowait(child)
        return child

    monkeypatch.setattr(apart, "_start_child", noted)
    task = asyncio.create_task(draft_apart(many_partners().encode(), "p.yaml", secrets))
    child = await children.get()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert child.returncode == -signal.SIGKILL


def test_a_parent_that_is_killed_leaves_no_process(tmp_path):
    # The parent reports its child, sends half of the work, and is killed.
    script = tmp_path / "parent.py"
    script.write_text(
        "import asyncio\n"
        "from tracker.catalog import apart\n"
        "async def main():\n"
        "    child = await apart._start_child()\n"
        "    child.stdin.write(b'half')\n"
        "    print(child.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with parent:
        child = int(parent.stdout.readline())
        parent.kill()

    deadline = time.monotonic() + 30
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(child)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"
