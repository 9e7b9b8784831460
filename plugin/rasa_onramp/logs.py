"""Log lines as events with fields, in whatever form the program around us gives to its own.

Rasa makes JSON of them where it doesn't write to a terminal. Without Rasa they go to Python's
logging as text. No field holds what users say or the values they give; conversations go by a
pseudonym. docs/monitoring.md lists the events.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import threading
import time
import traceback
from typing import Any, Dict, Hashable

import structlog

__all__ = ["KEY_VARIABLE", "Seldom", "as_rasa_does", "logger_for", "pseudonym", "traceback_of"]

#: The variable that holds the key of pseudonyms, the same in all processes that should agree.
KEY_VARIABLE = "RASA_ONRAMP_LOG_KEY"

#: Without that variable, pseudonyms hold as long as the process lives.
_OWN_KEY = secrets.token_hex(32)


class Seldom:
    """Keeps what is met again and again from being logged each time. Thread-safe."""

    def __init__(self, seconds: float = 60.0):
        self._seconds = seconds
        self._said: Dict[Hashable, float] = {}
        self._lock = threading.Lock()

    def due(self, what: Hashable = None) -> bool:
        """Whether `what` wasn't said within these seconds; if so, it counts as said now."""
        now = time.monotonic()
        with self._lock:
            self._said = {it: at for it, at in self._said.items() if now - at < self._seconds}
            if what in self._said:
                return False
            self._said[what] = now
            return True


def logger_for(module: str) -> Any:
    """The structlog logger of a module; `module` is its `__name__`."""
    # around Python's own logger: structlog by itself prints to stdout, where commands print results
    return structlog.wrap_logger(logging.getLogger(module))


def as_rasa_does() -> None:
    """Log from the level on that Rasa logs from, unless our own logger was given one.

    The root logger's is no guide: numpy.distutils raises it where it is imported, which Rasa's
    LogisticRegressionClassifier does (by skops, by all of sklearn).
    """
    ours, level = logging.getLogger(__package__), logging.getLogger("rasa").level
    if ours.level == logging.NOTSET:
        ours.setLevel(level)


def traceback_of(error: BaseException) -> str:
    """How an error came about, for a field of its own.

    structlog's `exc_info`, as Rasa sets it up, writes the local variables of every function down,
    and with them what users say and what is in URLs.
    """
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def pseudonym(sender: str) -> str:
    """Sixteen digits that stand for a conversation.

    A sender's id may be a telephone number, which a plain hash would give away to who tries all
    numbers; so it is hashed with a key.
    """
    key = hashlib.sha256((os.environ.get(KEY_VARIABLE) or _OWN_KEY).encode()).digest()
    text = sender.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, key=key, digest_size=8).hexdigest()
