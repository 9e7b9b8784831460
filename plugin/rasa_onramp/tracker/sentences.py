"""Sentence embeddings of a plain BERT encoder: many texts in batches, or one as fast as can be."""

from __future__ import annotations

import hashlib
import warnings
from copy import deepcopy
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Callable, Sequence, Union

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rasa_onramp.embedding import WHOLE_CORPUS, CachedEmbed
from rasa_onramp.errors import CheckpointError
from rasa_onramp.tracker.encoder import Encoder
from rasa_onramp.tracker.precision import matrix_type
from rasa_onramp.tracker.tokens import readable
from rasa_onramp.weights import resolve_encoder

__all__ = ["SentenceEncoder", "cached_sentences"]

#: Tokens of a text that are read.
_LONGEST = 128


class SentenceEncoder:
    """Sentence embeddings by mean pooling, as sentence-transformers computes all-MiniLM-L6-v2's,
    of a text's first 128 tokens. Thread-safe.
    """

    def __init__(self, encoder: Encoder, tokenizer: Any, digest: str = ""):
        self.encoder = encoder.eval()
        self.tokenizer = tokenizer
        #: Of the files that it was loaded from: equal ones embed alike.
        self.digest = digest

    @classmethod
    def load(cls, name: Union[str, Path] = "all-MiniLM-L6-v2") -> SentenceEncoder:
        """The sentence encoder called `name`. Raises CheckpointError."""
        from tokenizers import Tokenizer

        folder = resolve_encoder(name)
        try:
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # tokenizers has no exceptions of its own
            raise CheckpointError(
                f"{folder}: tokenizer.json can't be read ({error}); fetch it anew"
            ) from None
        tokenizer.enable_truncation(_LONGEST)
        tokenizer.enable_padding()
        digest = hashlib.sha256()
        for file in ("tokenizer.json", "model.safetensors"):
            digest.update((folder / file).read_bytes())
        return cls(Encoder.load(name), tokenizer, digest.hexdigest())

    @torch.no_grad()
    def embed(self, texts: Sequence[str], batch_size: int = 64) -> Tensor:
        """L2-normalised embeddings of `texts`, (texts, hidden), float32 on the CPU."""
        texts = [readable(text, self.tokenizer) for text in texts]
        if len(texts) == 1:  # what a bot does at every message
            return self._one(torch.tensor(self.tokenizer.encode(texts[0]).ids))[None]
        rows = []
        # those of like length together: what is padded is computed too
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        for start in range(0, len(texts), batch_size):
            some = [texts[number] for number in order[start : start + batch_size]]
            encoded = self.tokenizer.encode_batch(some)
            ids = torch.tensor([e.ids for e in encoded])
            valid = torch.tensor([e.attention_mask for e in encoded], dtype=torch.bool)
            positions = torch.arange(ids.shape[1]).expand_as(ids)
            mask = valid[:, None, :].expand(-1, ids.shape[1], -1)
            hidden, _ = self.encoder(self.encoder.word_embed(ids), positions, mask)
            weight = valid[..., None].float()
            rows.append(F.normalize((hidden * weight).sum(1) / weight.sum(1), dim=-1))
        if not rows:
            return torch.zeros(0, self.encoder.config.hidden_size)
        return torch.cat(rows)[torch.tensor(order).argsort()]

    @cached_property
    def _one(self) -> Callable[[Tensor], Tensor]:
        """The embedding (hidden,) of one text's token ids (tokens,), traced: at such sizes Python
        takes a third of the time, and a trace runs without Python's lock beside other threads.
        """
        plain = _OneSentence(self.encoder, matrix_type("cpu")).eval()
        with warnings.catch_warnings():
            # it is to go, but what is to come in its place needs a C++ compiler
            warnings.simplefilter("ignore", DeprecationWarning)
            return torch.jit.freeze(torch.jit.trace(plain, torch.arange(9), check_trace=False))


@lru_cache(maxsize=1)
def cached_sentences() -> CachedEmbed:
    """Embeddings of all-MiniLM-L6-v2, read once a process, each text's of a corpus computed once,
    of several texts in float32. Raises CheckpointError.
    """
    return CachedEmbed(SentenceEncoder.load().embed, WHOLE_CORPUS)


class _OneSentence(nn.Module):
    """The embedding of one sentence in few operations: no mask, and one product of matrices for
    queries, keys and values. `dtype` is that of the layers; what comes before and after them is
    float32. With the encoder's own, most weights are shared with it.
    """

    def __init__(self, encoder: Encoder, dtype: torch.dtype):
        super().__init__()
        self.dtype = dtype
        e: Any = encoder.embeddings
        self.words, self.first = e["word_embeddings"], e["LayerNorm"]
        kinds = e["token_type_embeddings"].weight[0]
        self.places = nn.Parameter(e["position_embeddings"].weight[:_LONGEST] + kinds)
        self.layers = nn.ModuleList(_Layer(layer) for layer in encoder.encoder["layer"])
        if dtype != self.places.dtype:
            self.layers = deepcopy(self.layers).to(dtype)

    def forward(self, ids: Tensor) -> Tensor:
        """Token ids (tokens,) → (hidden,)."""
        x = self.first(self.words(ids) + self.places[: ids.shape[0]]).to(self.dtype)
        for layer in self.layers:
            x = layer(x)
        return F.normalize(x.float().mean(0), dim=-1)


class _Layer(nn.Module):
    def __init__(self, layer: Any):
        super().__init__()
        self.heads = layer.heads
        parts = [layer.attention["self"][kind] for kind in ("query", "key", "value")]
        self.weight = nn.Parameter(torch.cat([part.weight for part in parts]))
        self.bias = nn.Parameter(torch.cat([part.bias for part in parts]))
        self.attended, self.wide = layer.attention["output"], layer.intermediate["dense"]
        self.narrow = layer.output

    def forward(self, x: Tensor) -> Tensor:
        """(tokens, hidden) → the same shape."""
        parts = F.linear(x, self.weight, self.bias).unflatten(-1, (3, self.heads, -1))
        query, key, value = parts.permute(1, 2, 0, 3).unsqueeze(1).unbind(0)
        context = F.scaled_dot_product_attention(query, key, value)
        context = context.squeeze(0).transpose(0, 1).flatten(1)
        x = self.attended["LayerNorm"](x + self.attended["dense"](context))
        y = self.narrow["dense"](F.gelu(self.wide(x)))
        return self.narrow["LayerNorm"](x + y)
