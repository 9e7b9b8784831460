"""What the components of one process share: the engine, opened when it is first needed.

Rasa builds the response generator without the model's components, and the policy without the
model loader; all of them find the runtime here.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
import traceback
import weakref
from contextlib import suppress
from functools import partial
from typing import List, Optional, Tuple

import torch

from rasa_onramp.errors import OnrampError, StoreError
from rasa_onramp.generator.checkpoint import available_replies, load_replies
from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.logs import Seldom, logger_for, traceback_of
from rasa_onramp.metalearning.metric.checkpoint import load_metric
from rasa_onramp.provenance import code_digest
from rasa_onramp.runtime.adapter_cache import read_adapter
from rasa_onramp.runtime.conversation import Engine
from rasa_onramp.runtime.settings import ModelSettings
from rasa_onramp.runtime.telemetry import count_failure
from rasa_onramp.store import Store, open_store, open_store_from_env
from rasa_onramp.tracker.checkpoint import load_tracker
from rasa_onramp.weights import resolve_encoder

__all__ = ["OnrampRuntime", "current_runtime", "keep_current", "runtime_for"]

logger = logger_for(__name__)

#: Seconds between attempts to open an engine that couldn't be opened.
_RETRY = 5.0

#: Embedded one by one when a model is loaded, and by nothing else: what embeds single texts is
#: made for the first of them, and at its fastest only after the second.
_FIRST_TEXTS = ("the first text", "the second text")


class OnrampRuntime:
    """The engine of one configuration. Thread-safe.

    Nothing is opened before `engine` is called; what fails then is tried again later, by a thread:
    no message waits for it again.
    """

    def __init__(self, settings: ModelSettings):
        self.settings = settings
        self._engine: Optional[Engine] = None
        self._reply_model: Optional[ReplyModel] = None  # kept where the engine fails to open
        self._failed: Optional[Tuple[float, Exception]] = None
        self._trying = False
        self._lock = threading.Lock()
        self._saying = Seldom()

    def engine(self) -> Engine:
        """The engine. Raises OnrampError if it can't be opened, or what else keeps it from that."""
        with self._lock:
            if self._engine is not None:
                return self._engine
            if self._failed is None:  # the first time whoever asks waits
                self._engine, self._failed = self._attempt()
                if self._engine is not None:
                    return self._engine
            assert self._failed is not None
            at, error = self._failed
            if not self._trying and time.monotonic() - at >= _RETRY:
                again = threading.Thread(target=self._try_again, name="onramp-open", daemon=True)
                with suppress(RuntimeError):  # no thread to be had: the next message looks
                    again.start()
                    self._trying = True
            raise error.with_traceback(None)

    def _try_again(self) -> None:
        engine, failed = self._attempt()
        with self._lock:
            self._engine, self._failed, self._trying = engine, failed, False

    def _attempt(self) -> Tuple[Optional[Engine], Optional[Tuple[float, Exception]]]:
        """The engine, or when and why there is none."""
        try:
            return self._open(), None
        except Exception as error:
            traceback.clear_frames(error.__traceback__)  # they hold what was loaded so far
            return None, (time.monotonic(), error)

    def _open(self) -> Engine:
        store = self.open_store()
        try:
            return Engine.open(
                store,
                checkpoint=self.settings.checkpoint,
                encoder=self.settings.encoder,
                settings=self.settings.engine,
                replies=self._replies(),
                router_metric=self.settings.router_metric,
                reply_metric=self.settings.reply_metric,
            )
        except BaseException:
            store.close()
            raise

    def _replies(self) -> Optional[ReplyModel]:
        """The language model that writes replies; None, which is logged, where it can't be had."""
        if self.settings.replies and self._reply_model is None:
            self._reply_model = available_replies(
                partial(_tell, "onramp.replies.unavailable"),
                self.settings.reply_checkpoint,
                device="cuda" if torch.cuda.is_available() else "cpu",
            )
        return self._reply_model

    @property
    def opened(self) -> Optional[Engine]:
        """The engine, if it is open."""
        return self._engine

    def warm(self) -> None:
        """Open everything now rather than at the first message, as far as it can be opened."""
        try:
            engine = self.engine()
            for text in _FIRST_TEXTS:
                engine.embed([text])
            engine.catalogue.domains()
        except Exception as error:  # whatever it is, the bot has its own model to load
            self.abstain("messages for now", error)

    def open_store(self) -> Store:
        """A store of its own. Raises ConfigError."""
        variable = self.settings.database_url_env
        return open_store() if variable is None else open_store_from_env(variable)

    def problems(self) -> Tuple[List[str], List[str]]:
        """What of this configuration can't be used, and what in the store can't, one line each: for
        `rasa train`. A model takes nothing from the store, which the bot may reach where training
        can't.
        """
        found: List[str] = []
        stored: List[str] = []
        digest = None
        try:
            digest = load_tracker(self.settings.checkpoint).digest
        except OnrampError as error:
            found.append(f"OnrampModel: checkpoint: {error}")
        try:
            if self.settings.replies and self.settings.reply_checkpoint is not None:
                load_replies(self.settings.reply_checkpoint)
        except OnrampError as error:
            found.append(f"OnrampModel: reply_checkpoint: {error}")
        for setting, purpose in (("router_metric", "domains"), ("reply_metric", "replies")):
            folder = getattr(self.settings, setting)
            try:
                if folder is not None:
                    load_metric(folder, purpose)
            except OnrampError as error:
                found.append(f"OnrampModel: {setting}: {error}")
        try:
            resolve_encoder(self.settings.encoder)
        except OnrampError as error:
            found.append(f"OnrampModel: encoder: {error}")
        try:
            with self.open_store() as store:
                for summary in store.dialogues.summary():
                    if summary.active_version is None:
                        continue
                    try:
                        read_adapter(store, summary.name, summary.active_version, digest)
                    except OnrampError as error:
                        stored.append(str(error))
        except StoreError as error:
            stored.append(str(error))
        except OnrampError as error:
            found.append(f"OnrampModel: {error}")
        return found, stored

    def fingerprint(self) -> str:
        """Changes with our code and with the store's content, so that Rasa trains again."""
        lines = [code_digest(), repr(self.settings)]
        try:
            with self.open_store() as store:
                lines += [
                    f"{s.name} {s.support_digest} {s.active_digest}"
                    for s in store.dialogues.summary()
                ]
        except OnrampError as error:
            lines.append(f"{type(error).__name__}")
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def abstain(self, what: str, error: Exception) -> None:
        """Count that we abstain, and log why we do so from `what`: once a minute, however many
        messages fail so.
        """
        count_failure(error)
        due = self._saying.due(f"{type(error).__name__}: {error}")
        fields = {} if isinstance(error, OnrampError) else {"traceback": traceback_of(error)}
        logger.log(
            logging.ERROR if due else logging.DEBUG,
            "onramp.abstaining",
            event_info=f"abstaining from {what}: {error}",
            kind=type(error).__name__,
            **fields,
        )


def _tell(event: str, what: str) -> None:
    logger.warning(event, event_info=what)


#: The runtimes that loaded models hold, the current one last.
_current: List[weakref.ref[OnrampRuntime]] = []
_registry = threading.Lock()


def runtime_for(settings: ModelSettings) -> OnrampRuntime:
    """The current runtime, if it is of these settings, else a new one, which becomes the current
    one. The process lets go of one as soon as no component has it any more.
    """
    with _registry:
        runtime = current_runtime()
        if runtime is None or runtime.settings != settings:
            runtime = OnrampRuntime(settings)
            _make_current(runtime)
        return runtime


def keep_current(runtime: OnrampRuntime) -> None:
    """This is the one that reads the bot's messages: it stays current, whatever else was loaded.

    A model that Rasa fails to load leaves the one before in service.
    """
    with _registry:
        _make_current(runtime)


def current_runtime() -> Optional[OnrampRuntime]:
    """The runtime that was loaded last in this process, or reads its messages; None without one."""
    found = (held() for held in reversed(tuple(_current)))
    return next((runtime for runtime in found if runtime is not None), None)


def _make_current(runtime: OnrampRuntime) -> None:
    others = [held for held in _current if held() not in (None, runtime)]
    _current[:] = [*others, weakref.ref(runtime)]
