"""Answers an API call: with a handler of yours, else with the schema's endpoint."""

from __future__ import annotations

import asyncio
import inspect
import threading
from contextlib import suppress
from functools import partial
from typing import Any, Callable, Dict, Tuple

from rasa_onramp.actions.calls import Call, as_rows
from rasa_onramp.actions.http import DEFAULT_TIMEOUT, post
from rasa_onramp.actions.registry import Handler, find_handler
from rasa_onramp.errors import ActionFailed

__all__ = ["answer", "answer_now"]


async def answer(call: Call, *, timeout: float = DEFAULT_TIMEOUT) -> Tuple[Dict[str, str], ...]:
    """The rows that answer `call`, within `timeout` seconds.

    A registered handler comes first, then the schema's URL. Functions that aren't coroutines run
    in a thread. Raises ActionFailed: no handler and no URL, an error in either, or no time left.
    """
    handler = find_handler(call.domain, call.name)
    if handler is None and not call.url:
        raise ActionFailed(
            f"nothing answers {call.domain}.{call.name}; register a handler with "
            f'@handles("{call.name}") in the action server, or give the action a url in its schema'
        )
    try:
        if handler is None:
            work: Any = _in_a_thread(partial(post, call, timeout=timeout))
        else:
            asked = partial(handler, dict(call.parameters), **_whole(handler, call))
            work = asked() if inspect.iscoroutinefunction(handler) else _in_a_thread(asked)
        return as_rows(await asyncio.wait_for(work, timeout))
    except ActionFailed as error:
        raise ActionFailed(f"{call.domain}.{call.name}: {error}") from None
    except asyncio.TimeoutError:
        raise ActionFailed(
            f"{call.domain}.{call.name}: no answer within {timeout:g} s; raise the timeout or "
            "look at what answers it"
        ) from None
    except Exception as error:
        raise ActionFailed(
            f"{call.domain}.{call.name}: its handler failed with "
            f"{type(error).__name__}: {error}; see the traceback above"
        ) from error


def _whole(handler: Handler, call: Call) -> Dict[str, Call]:
    """The call, for a handler that wants it."""
    try:
        wanted = "call" in inspect.signature(handler).parameters
    except ValueError:  # of some built-in functions
        wanted = False
    return {"call": call} if wanted else {}


async def _in_a_thread(work: Callable[[], Any]) -> Any:
    """What `work` returns, in a thread of its own: one that hangs keeps no other call waiting, and
    ends with the process. A coroutine that it returns, as a decorator may, is awaited.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future = loop.create_future()

    def settle(how: Callable[[Any], None], outcome: Any) -> None:
        if not done.done():  # given up meanwhile
            how(outcome)

    def run() -> None:
        how: Callable[[Any], None] = done.set_result
        try:
            outcome = work()
        except Exception as error:
            how, outcome = done.set_exception, error
        with suppress(RuntimeError):  # whoever asked is gone, and the loop with them
            loop.call_soon_threadsafe(settle, how, outcome)

    threading.Thread(target=run, name="onramp-call", daemon=True).start()
    outcome = await done
    return await outcome if inspect.isawaitable(outcome) else outcome


def answer_now(call: Call, *, timeout: float = DEFAULT_TIMEOUT) -> Tuple[Dict[str, str], ...]:
    """`answer`, for callers without an event loop."""
    return asyncio.run(answer(call, timeout=timeout))
