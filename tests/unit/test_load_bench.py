"""bench/load.py: its users against a real server, what they say, and its sums counted by hand."""

from __future__ import annotations

import asyncio
import importlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, List, Tuple

import pytest
from aiohttp import web


@pytest.fixture(scope="module")
def load(repository: Path) -> ModuleType:
    return importlib.import_module("load")


@pytest.fixture(scope="module")
def users(repository: Path) -> ModuleType:
    return importlib.import_module("load_parts.users")


async def _serve(bench: ModuleType, kinds: Dict[str, Tuple[float, Any]], **how: Any) -> Any:
    """Let users talk to a server that echoes, but for what goes wrong; also its most at once."""
    at_once = [0, 0]

    async def answer(request: web.Request) -> web.Response:
        at_once[0] += 1
        at_once[1] = max(at_once)
        body = await request.json()
        await asyncio.sleep(0.025)  # loops wake a little early, by their clock
        at_once[0] -= 1
        if body["message"] == "crash":
            return web.Response(status=500)
        if body["message"] == "silence":
            return web.json_response([])
        if body["message"] == "nonsense":
            return web.json_response({"text": "no list"})
        return web.json_response([{"recipient_id": body["sender"], "text": body["message"]}])

    app = web.Application()
    app.router.add_post("/webhooks/rest/webhook", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        found = await bench.talk(f"http://127.0.0.1:{port}", kinds, **how)
    finally:
        await runner.cleanup()
    return found, at_once[1]


def test_users_talk_at_once_and_what_is_no_answer_is_an_error(users: ModuleType) -> None:
    kinds = {
        "good": (1.0, lambda choose: ["hi", "silence", "bye"]),
        "bad": (1.0, lambda choose: ["crash", "nonsense", "silence", "hi"]),
    }
    how = {"users": 8, "seconds": 0.8, "seed": "0"}
    found, most = asyncio.run(_serve(users, kinds, **how))
    assert most == 8
    texts: Dict[str, List[str]] = {}
    for each in found:
        assert each.seconds >= 0.02
        assert each.sender.startswith(each.kind)
        texts.setdefault(each.sender, []).append(each.error or "")
        assert each.texts in (0, 1)
    assert sum(each.texts for each in found) < len(found)
    assert len(texts) > 8  # each begins another conversation when one is over
    for sender, errors in texts.items():
        if sender.startswith("good"):
            assert errors == [""] * len(errors)
        else:
            wrong = "answered with {'text': 'no list'} to 'nonsense'"
            expected = ["status 500", wrong, "", ""]
            assert errors == expected[: len(errors)]


def test_a_server_that_is_not_there_is_an_error(users: ModuleType) -> None:
    kinds = {"good": (1.0, lambda choose: ["hi"])}
    found = asyncio.run(users.talk("http://127.0.0.1:1", kinds, users=2, seconds=0.2, seed="0"))
    assert found and all("Connect" in each.error for each in found)


def test_the_sums_are_right(load: ModuleType, users: ModuleType) -> None:
    answered = [
        users.Answered("a", "own", "hi", at, at / 10, 1, None if at != 3 else "status 500")
        for at in range(1, 121)
    ]
    assert load.rate(answered, 0, 10) == 0.9  # one of ten is an error
    assert load.by_minute(answered, 0, 120) == [round(59 / 60, 1), 1.0]
    spread = load.percentiles(answered)
    assert (spread["p50"], spread["p95"], spread["p100"]) == (6100, 11500, 12000)
    assert load.percentiles([]) == {"p50": 0, "p95": 0, "p99": 0, "p100": 0}
    assert load.error_texts(answered) == ["status 500"]
    assert load.without_text(answered) == 0
    silent = [users.Answered("a", "own", "hi", 1, 0.1, 0, error) for error in (None, "status 500")]
    assert load.without_text([*answered, *silent]) == 1


def test_silence_is_an_error_where_a_domain_claimed_the_message(
    load: ModuleType, users: ModuleType
) -> None:
    class Server:
        def tracker(self, sender: str) -> Dict[str, Any]:
            return {
                "events": [
                    {"event": "action", "name": "action_listen"},
                    {"event": "user", "text": "mine", "parse_data": {"onramp": {"domain": "taxi"}}},
                    {"event": "user", "text": "not", "parse_data": {"onramp": {"domain": None}}},
                    {"event": "user", "text": "plain", "parse_data": {}},
                ]
            }

    def error(said: str, texts: int) -> Any:
        answer = users.Answered("a", "domain", said, 1.0, 0.1, texts)
        return load.unless_silent(Server(), answer).error

    assert error("mine", 0) == "no text to 'mine'"
    assert [error("mine", 1), error("not", 0), error("plain", 0)] == [None] * 3


def test_growth_is_that_of_the_window(repository: Path) -> None:
    memory = importlib.import_module("load_parts.memory")
    samples = [(float(at), 100.0 if at < 20 else 200.0 + at / 10) for at in range(101)]
    assert memory.growth(samples, 20, 100) == pytest.approx(209.6 / 202.4 - 1)
    assert memory.growth(samples, 0, 100) > 1


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_that_of_a_process_and_its_children(repository: Path) -> None:
    memory = importlib.import_module("load_parts.memory")
    program = "import time; kept = bytearray(b'1') * 2**26; print(flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        alone = memory.resident_mb(child.pid)
        assert 64 < alone < 100
        watch = memory.Watch(os.getpid())
        time.sleep(0.1)
        watch.close()
        assert watch.samples[0][1] > alone + 10
    finally:
        child.kill()
        child.communicate()
    assert memory.resident_mb(child.pid) == 0


def test_hardly_a_message_comes_twice(repository: Path) -> None:
    scripts = importlib.import_module("load_parts.scripts")
    files = sorted((repository / "dialogue_data").glob("*.yml"))
    for draw, share in ((scripts.own_talks(), 0.5), (scripts.domain_talks(files), 0.5)):
        texts = [text for seed in range(100) for text in draw(random.Random(seed))]
        assert len(texts) >= 300
        assert len(set(texts)) > share * len(texts)
        assert draw(random.Random(1)) == draw(random.Random(1))
