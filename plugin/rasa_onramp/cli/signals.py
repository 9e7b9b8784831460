"""What signals do while a command works."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import Any, Callable, Iterator

__all__ = ["handled", "stopped_as_by_hand"]


@contextmanager
def handled(handler: Callable[..., Any], *numbers: int) -> Iterator[None]:
    """`handler` is called for these signals; after the block what was there before is again."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


@contextmanager
def stopped_as_by_hand() -> Iterator[None]:
    """SIGTERM and SIGHUP, of `docker stop` or a closed terminal, are what Ctrl-C is: the job is
    given up. A worker would else carry out by and by what somebody wanted stopped.
    """
    ends = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # what nohup and the like ignore stays ignored
    ours = [one for one in ends if signal.getsignal(one) is signal.SIG_DFL]
    with handled(signal.default_int_handler, *ours):
        yield
