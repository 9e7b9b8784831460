"""The domains whose reply updates are in memory: the ones used last, up to a number of bytes."""

from __future__ import annotations

from typing import Optional, Tuple, Union

import torch

from rasa_onramp.errors import CheckpointError
from rasa_onramp.generator.writing import Updates
from rasa_onramp.memory import LastUsed, bytes_of
from rasa_onramp.metalearning.lora import adapter_from_bytes
from rasa_onramp.runtime.reach import Reach
from rasa_onramp.store import ReplyAdapter, Store

__all__ = ["ReplyAdapters"]


class ReplyAdapters:
    """Reads the reply part of adapter versions from the store; keeps those used last, up to
    `limit` bytes. Thread-safe.

    Versions are immutable, and the digest of the weights is part of the key, so nothing cached
    goes stale; nor does the reason why some can't be used.
    """

    def __init__(
        self,
        reach: Reach,
        checkpoint: str,
        dtype: torch.dtype,
        device: Union[str, torch.device] = "cpu",
        *,
        limit: int,
    ):
        self._reach = reach
        self._checkpoint = checkpoint
        self._dtype = dtype
        self._device = device
        #: By the domain's name and the digest of the weights.
        self.kept: LastUsed[Tuple[str, str], Union[Updates, CheckpointError]] = LastUsed(limit)

    def get(self, domain: str, version: Optional[int], digest: Optional[str]) -> Optional[Updates]:
        """The updates of a version, None if it has none; `digest` is that of its reply part.

        Raises CheckpointError if they are damaged or made for another initialisation, NotFound,
        StoreError, StoreUnavailable.
        """
        if version is None or digest is None:
            return None
        key = (domain, digest)
        found = self.kept.get(key)
        if found is None:

            def read(store: Store) -> Optional[Union[Updates, CheckpointError]]:
                stored = store.adapters.reply(domain, version)
                if stored is None:
                    return None
                made = self._made(domain, version, stored)
                self.kept.put(key, made, bytes_of(made))  # for the next message, if this is late
                return made

            # some 10 MB: that they take long says nothing of the store
            found = self._reach.ask(read, vital=False)
            if found is None:
                return None
        if isinstance(found, CheckpointError):
            raise found.with_traceback(None)  # or it would keep the frames of every time before
        return found

    def _made(
        self, domain: str, version: int, stored: ReplyAdapter
    ) -> Union[Updates, CheckpointError]:
        """The updates, or why they can't be used: that won't change either."""
        if stored.checkpoint_digest != self._checkpoint:
            return CheckpointError(
                f"{domain}: the replies of adapter {version} are for another initialisation; "
                f"run `rasa-onramp adapt {domain}`"
            )
        try:
            weights = adapter_from_bytes(stored.weights)
        except CheckpointError as error:
            return error
        moved = {name: v.to(self._device, self._dtype) for name, v in weights.items()}
        return Updates(stored.digest, moved)
