"""Writing that waits for another process to end its own."""

from __future__ import annotations

from typing import Any, Callable, TypeVar

from rasa_onramp.errors import StoreBusy
from rasa_onramp.logs import logger_for

__all__ = ["patiently"]

logger = logger_for(__name__)

#: How often it is tried; each try waits a minute by itself.
_TRIES = 10

T = TypeVar("T")


def patiently(event: str, write: Callable[..., T], *what: Any, **how: Any) -> T:
    """`write`, again and again while another process is writing, as a long import does: what was
    made is worth waiting for. Each time that is logged as `event`. Raises StoreBusy in the end.
    """
    for _ in range(_TRIES - 1):
        try:
            return write(*what, **how)
        except StoreBusy as error:
            logger.warning(event, event_info=f"{error}: what was made waits for it")
    return write(*what, **how)
