"""The domains whose reply updates are in memory: the ones used last, up to a number."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Optional, Tuple

import torch

from rasa_onramp.errors import CheckpointError
from rasa_onramp.generator.writing import Updates
from rasa_onramp.metalearning.lora import adapter_from_bytes
from rasa_onramp.store import Store

__all__ = ["ReplyAdapters"]


class ReplyAdapters:
    """Reads the reply part of adapter versions from the store. Thread-safe.

    Versions are immutable, and the digest of the weights is part of the key, so nothing cached
    goes stale.
    """

    def __init__(self, store: Store, checkpoint: str, dtype: torch.dtype, size: int = 8):
        self._store = store
        self._checkpoint = checkpoint
        self._dtype = dtype
        self._size = size
        self._known: OrderedDict[Tuple[str, str], Updates] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, domain: str, version: Optional[int], digest: Optional[str]) -> Optional[Updates]:
        """The updates of a version, None if it has none; `digest` is that of its reply part.

        Raises CheckpointError if they are damaged or made for another initialisation, NotFound,
        StoreError, StoreUnavailable.
        """
        if version is None or digest is None:
            return None
        key = (domain, digest)
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        stored = self._store.adapters.reply(domain, version)
        if stored is None:
            return None
        if stored.checkpoint_digest != self._checkpoint:
            raise CheckpointError(
                f"{domain}: the replies of adapter {version} are for another initialisation; "
                f"run `rasa-onramp adapt {domain}`"
            )
        weights = {k: v.to(self._dtype) for k, v in adapter_from_bytes(stored.weights).items()}
        updates = Updates(stored.digest, weights)
        with self._lock:
            self._known[key] = updates
            while len(self._known) > self._size:
                self._known.popitem(last=False)
        return updates
