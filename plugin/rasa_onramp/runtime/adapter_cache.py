"""The domains whose weights are in memory: the ones used last, up to a number of bytes."""

from __future__ import annotations

from typing import Optional, Tuple

from rasa_onramp.dialogue import Schema
from rasa_onramp.errors import CheckpointError
from rasa_onramp.memory import MEGABYTE, LastUsed, bytes_of
from rasa_onramp.metalearning.lora import adapter_from_bytes
from rasa_onramp.runtime.reach import Reach
from rasa_onramp.runtime.telemetry import count_read
from rasa_onramp.store import AdapterVersion, Store
from rasa_onramp.tracker.decoding import Prepared, prepare
from rasa_onramp.tracker.model import StateTracker, Weights

__all__ = ["AdapterCache", "prepared", "read_adapter"]


class AdapterCache:
    """Reads adapter versions from the store and encodes schemas under them; keeps the
    domains used last, up to `limit` bytes. Thread-safe.

    Versions are immutable, and a schema's digest is part of the key, so nothing cached goes stale;
    nor does the reason why some can't be used.
    """

    def __init__(self, reach: Reach, tracker: StateTracker, limit: int):
        self._reach = reach
        self._tracker = tracker
        #: By name and content of the domain, and the digest of its adapter.
        self.kept: LastUsed[Tuple[str, str, Optional[str]], Prepared] = LastUsed(limit)
        #: By name of the domain, version and digest: why it can't be used.
        self._unusable: LastUsed[Tuple[str, int, Optional[str]], str] = LastUsed(MEGABYTE)

    def get(
        self, schema: Schema, content: str, version: Optional[int], digest: Optional[str]
    ) -> Prepared:
        """The domain of `schema`, ready to be tracked with its adapter `version`.

        `content` is a digest of the domain, `digest` that of the version's weights. Without a
        version the domain is tracked zero-shot. With one that can't be used it isn't tracked at
        all: what was checked with the adapter may call an API with values that nobody gave without
        it. Raises CheckpointError for a version that is damaged or made for another checkpoint,
        StoreError, StoreUnavailable.
        """
        key = (schema.name, content, digest)
        ready = self.kept.get(key)
        count_read(hit=ready is not None)
        if ready is not None:
            return ready
        adapter = None if version is None else self._read(schema.name, version, digest)
        ready = prepare(self._tracker, schema, adapter)
        self.kept.put(key, ready, bytes_of(ready))
        return ready

    def _read(self, domain: str, version: int, digest: Optional[str]) -> Weights:
        key = (domain, version, digest)
        why = self._unusable.get(key)
        if why is None:
            stored = self._reach.ask(lambda store: store.adapters.get(domain, version))
            try:
                return _weights_of(stored, self._tracker.digest)
            except CheckpointError as error:
                why = str(error)
                self._unusable.put(key, why, bytes_of(why))
        raise CheckpointError(why)


def prepared(
    store: Store, tracker: StateTracker, schema: Schema, version: Optional[int]
) -> Prepared:
    """The domain of `schema`, ready to be tracked with a version (None: zero-shot), as a bot does
    with the active one. Raises as `read_adapter`.
    """
    if version is None:
        return prepare(tracker, schema)
    return prepare(tracker, schema, read_adapter(store, schema.name, version, tracker.digest))


def read_adapter(store: Store, domain: str, version: int, checkpoint: Optional[str]) -> Weights:
    """A version's weights, for the checkpoint of that digest (None: for whichever).

    Raises CheckpointError if they are damaged or made for another checkpoint, NotFound, StoreError,
    StoreUnavailable.
    """
    return _weights_of(store.adapters.get(domain, version), checkpoint)


def _weights_of(stored: AdapterVersion, checkpoint: Optional[str]) -> Weights:
    domain = stored.domain
    if checkpoint is not None and stored.checkpoint_digest != checkpoint:
        raise CheckpointError(
            f"{domain}: adapter {stored.version} is for another checkpoint; run `rasa-onramp adapt "
            f"{domain}`, with --checkpoint where the bot has one"
        )
    try:
        return adapter_from_bytes(stored.weights)
    except CheckpointError as error:
        raise CheckpointError(f"{domain}: {error}: `rasa-onramp adapt {domain}`") from None
