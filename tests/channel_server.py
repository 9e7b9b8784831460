"""Channels of ours in a real Sanic server on a free port, with a real tracker store."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import contextmanager
from typing import Any, Iterator, Sequence

from rasa.core.agent import Agent
from rasa.core.channels.channel import InputChannel
from rasa.core.run import configure_app
from rasa.core.tracker_store import InMemoryTrackerStore
from rasa.shared.core.domain import Domain
from rasa.shared.core.trackers import DialogueStateTracker
from sanic import Sanic

from rasa_onramp.components import host
from rasa_onramp.runtime.conversation import Engine
from rasa_onramp.runtime.settings import ModelSettings
from rasa_onramp.store import Store
from rasa_onramp.tracker.model import StateTracker
from rasa_onramp.tracker.sentences import cached_sentences

__all__ = ["ChannelServer", "runtime_on"]

Sanic.test_mode = True  # Rasa gives every app the same name, and a process has several here


@contextmanager
def runtime_on(
    store: Store, tracker: StateTracker, **settings: Any
) -> Iterator[host.OnrampRuntime]:
    """The runtime that channels find meanwhile, without a language model."""
    runtime = host.runtime_for(ModelSettings(replies=False, **settings))
    runtime._engine = Engine(store, tracker, cached_sentences())
    try:
        yield runtime
    finally:
        host._current.clear()


class ChannelServer:
    """A running server of `channels`; `url` is where it listens, without a slash at its end."""

    def __init__(self, channels: Sequence[InputChannel]):
        self._channels = list(channels)
        self._trackers = InMemoryTrackerStore(Domain.empty())
        self._loop = asyncio.new_event_loop()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(30)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        app = configure_app(self._channels, use_uvloop=False)
        app.ctx.agent = Agent(Domain.empty(), tracker_store=self._trackers)

        async def serve() -> None:
            server = await app.create_server(
                sock=self._socket, return_asyncio_server=True, access_log=False
            )
            await server.startup()
            await server.start_serving()
            self._ready.set()

        self._loop.create_task(serve())
        self._loop.run_forever()

    def close(self) -> None:
        """Stop listening."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._socket.close()

    def save(self, tracker: DialogueStateTracker) -> None:
        """Put a conversation into the tracker store."""
        saving = self._trackers.save(tracker)
        asyncio.run_coroutine_threadsafe(saving, self._loop).result(30)
