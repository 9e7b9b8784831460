"""Domains' embeddings, from the store where some process computed them before."""

from __future__ import annotations

import hashlib
from typing import Collection, Dict, Optional, Sequence

import torch
from safetensors import SafetensorError  # type: ignore[attr-defined]
from safetensors.torch import load, save
from torch import Tensor

from rasa_onramp.embedding import Embed
from rasa_onramp.errors import OnrampError, StoreError, StoreUnavailable
from rasa_onramp.logs import logger_for
from rasa_onramp.runtime.reach import Reach
from rasa_onramp.store import Embeddings, Store
from rasa_onramp.tracker.tokens import symbols_in

__all__ = ["KnownEmbeddings"]

logger = logger_for(__name__)


class KnownEmbeddings:
    """The embeddings of some domains that are about to be indexed.

    `encoder` is the encoder's digest; without one nothing is read or kept. What is computed anew is
    kept by `close`. All of them are in half precision, so that it makes no difference who computed
    them. Raises StoreUnavailable; what is damaged counts as not there.
    """

    def __init__(
        self, reach: Reach, embed: Embed, encoder: Optional[str], domains: Collection[str]
    ):
        self._reach = reach
        self._embed = embed
        self._encoder = encoder
        self._known: Dict[str, Embeddings] = {}
        self._new: Dict[str, Embeddings] = {}
        if encoder is not None:
            try:
                self._known = reach.ask(lambda store: store.embeddings.read(domains), much=True)
            except StoreUnavailable:
                raise
            except StoreError as error:
                said = f"{len(domains)} domains are embedded anew: {error}"
                logger.warning("onramp.embeddings.not_read", event_info=said)

    def of(self, domain: str) -> Embed:
        """What embeds the texts of a domain."""

        def embed(texts: Sequence[str]) -> Tensor:
            if self._encoder is None:
                return self._embed(texts)
            digest = _digest(self._encoder, texts)
            rows = self._stored(domain, digest, len(texts))
            if rows is None:
                rows = self._embed(texts).half()
                self._new[domain] = Embeddings(digest, save({"rows": rows.contiguous()}))
            return rows.float()

        return embed

    def close(self) -> None:
        """Keep what was new. A store that can't be written to is no reason not to answer."""
        if self._new:
            self._reach.ask(self._keep, much=True)

    def _keep(self, store: Store) -> None:
        try:
            store.embeddings.keep(self._new)
        except OnrampError as error:
            said = f"the embeddings of {len(self._new)} domains weren't kept: {error}"
            logger.warning("onramp.embeddings.not_kept", event_info=said)

    def _stored(self, domain: str, digest: str, count: int) -> Optional[Tensor]:
        known = self._known.get(domain)
        if known is None or known.rows is None or known.digest != digest:
            return None
        try:
            rows = load(known.rows)["rows"]
        except (SafetensorError, KeyError):
            return None
        return rows if rows.shape[:1] == (count,) and torch.isfinite(rows).all() else None


def _digest(encoder: str, texts: Sequence[str]) -> str:
    """Which texts, by which encoder. Those with symbols were embedded otherwise before the encoder
    read words that have an emoji attached, so they have other digests than they had then.
    """
    digest = hashlib.sha256(encoder.encode())
    if any(map(symbols_in, texts)):
        digest.update(b"symbols are blanks")
    for text in texts:
        digest.update(len(text).to_bytes(8, "big"))
        digest.update(text.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
