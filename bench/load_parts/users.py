"""Users who talk to a bot over REST, all at once, each as soon as the last answer is there."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import List, Mapping, Optional, Tuple

import aiohttp

from load_parts.scripts import Draw

__all__ = ["Answered", "talk"]

#: Seconds after which a message without an answer is an error.
_PATIENCE = 120.0


@dataclass(frozen=True)
class Answered:
    """A message: its conversation, of which kind, what was said, when it was answered
    (time.monotonic), how many seconds that took, with how many texts, and what was wrong (None:
    nothing).
    """

    sender: str
    kind: str
    said: str
    at: float
    seconds: float
    texts: int
    error: Optional[str] = None


async def talk(
    url: str,
    kinds: Mapping[str, Tuple[float, Draw]],
    *,
    users: int,
    seconds: float,
    seed: str,
) -> List[Answered]:
    """Let `users` hold one conversation after the other for `seconds`.

    `kinds` are what conversations there are: the share of them, and what draws their texts. A
    message that is on its way at the end is waited for.
    """
    until = time.monotonic() + seconds
    found: List[Answered] = []
    names = list(kinds)
    shares = [kinds[name][0] for name in names]
    limit = aiohttp.ClientTimeout(total=_PATIENCE)
    connector = aiohttp.TCPConnector(limit=users)

    async def user(number: int, http: aiohttp.ClientSession) -> None:
        choose = random.Random(f"{seed} {number}")
        conversation = 0
        while time.monotonic() < until:
            conversation += 1
            kind = choose.choices(names, shares)[0]
            sender = f"{kind}-{seed}-{number}-{conversation}"
            for text in kinds[kind][1](choose):
                if time.monotonic() >= until:
                    return
                began = time.monotonic()
                texts, error = await _say(http, url, sender, text)
                now = time.monotonic()
                found.append(Answered(sender, kind, text, now, now - began, texts, error))
                if error is not None:
                    await asyncio.sleep(0.1)  # a server that refuses isn't flooded

    # loopback only, whatever proxy is set
    async with aiohttp.ClientSession(
        connector=connector, timeout=limit, trust_env=False
    ) as session:
        await asyncio.gather(*(user(number, session) for number in range(users)))
    return found


async def _say(
    http: aiohttp.ClientSession, url: str, sender: str, text: str
) -> Tuple[int, Optional[str]]:
    """The texts that a message is answered with, and what is wrong with that (None: nothing)."""
    body = {"sender": sender, "message": text}
    try:
        async with http.post(f"{url}/webhooks/rest/webhook", json=body) as answer:
            if answer.status != 200:
                return 0, f"status {answer.status}"
            said = await answer.json()
    except (aiohttp.ClientError, asyncio.TimeoutError, ValueError) as error:
        return 0, f"{type(error).__name__}: {error}"
    if not isinstance(said, list) or not all(isinstance(one.get("text"), str) for one in said):
        return 0, f"answered with {said!r} to {text!r}"
    return len(said), None
