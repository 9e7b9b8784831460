"""What stays in memory: the values used last, up to a number of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from sys import getsizeof
from typing import Any, Dict, Generic, List, Mapping, Optional, Tuple, TypeVar

import numpy

__all__ = ["MEGABYTE", "LastUsed", "bytes_of"]

MEGABYTE = 2**20

Key = TypeVar("Key")
Value = TypeVar("Value")


class LastUsed(Generic[Key, Value]):
    """Keeps the values used last, as many as `limit` bytes hold. Thread-safe.

    The value put in last stays even where it is larger by itself: it is in use anyway.
    """

    def __init__(self, limit: int):
        self._limit = limit
        self._values: OrderedDict[Key, Tuple[Value, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        """How many bytes the values take that are kept now."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Key) -> Optional[Value]:
        """The value of `key`, which has then been used last; None if it isn't kept."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: Key, value: Value, size: int) -> None:
        """Keep a value of `size` bytes, and let go of others where there is no room for it."""
        with self._lock:
            self._drop(key)
            self._make_room(size)
            self._values[key] = (value, size)
            self._bytes += size

    def pop(self, key: Key) -> Optional[Value]:
        """Let go of a value; returns it, None if it wasn't kept."""
        with self._lock:
            return self._drop(key)

    def make_room(self, size: int) -> None:
        """Let go of values until `size` bytes more fit: before something large is made."""
        with self._lock:
            self._make_room(size)

    def clear(self) -> None:
        """Let go of all values."""
        with self._lock:
            self._values.clear()
            self._bytes = 0

    def recent(self) -> List[Key]:
        """The keys of what is kept, the one used last at the end."""
        with self._lock:
            return list(self._values)

    def _make_room(self, size: int) -> None:
        while self._values and self._bytes + size > self._limit:
            self._bytes -= self._values.popitem(last=False)[1][1]

    def _drop(self, key: Key) -> Optional[Value]:
        value, size = self._values.pop(key, (None, 0))
        self._bytes -= size
        return value


def bytes_of(value: Any) -> int:
    """Bytes that `value` and all that it holds take; what is held several times counts once.

    Functions, and what else can be called, count nothing: others hold them too.
    """
    from torch import Tensor, nn  # replies are read and checked without it, too

    total = 0
    seen: Dict[int, Any] = {}  # the objects themselves: an id counts only while its object lives
    waiting = [value]
    while waiting:
        one = waiting.pop()
        memory = one.untyped_storage() if isinstance(one, Tensor) else one
        key = memory.data_ptr() if isinstance(one, Tensor) else id(one)
        if key in seen or (callable(one) and not isinstance(one, nn.Module)):
            continue
        seen[key] = memory
        total += memory.nbytes() if isinstance(one, Tensor) else getsizeof(one)
        if isinstance(one, numpy.ndarray) and one.base is not None:
            waiting.append(one.base)
        elif isinstance(one, Mapping):
            waiting += one.keys()
            waiting += one.values()
        elif isinstance(one, (list, tuple, set, frozenset)):
            waiting += one
        elif not isinstance(one, Tensor):
            waiting += getattr(one, "__dict__", {}).values()
    return total
