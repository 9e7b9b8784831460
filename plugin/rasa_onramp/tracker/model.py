"""The state tracker: an encoder, pointers over it, and the initialisation it adapts from.

Every answer is a pointer into the prompt: a query's start and end vectors are matched with every
token's (Rastogi et al. 2020 and SPLAT, Bebensee & Lee 2023, point in this way). What adapts, the
pointers and the low-rank updates of the encoder, is passed as a mapping of tensors, so one frozen
encoder serves every domain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Dict, Mapping, Optional, Tuple, Union

import torch
from torch import Tensor
from torch.nn import functional as F

from rasa_onramp.errors import CheckpointError
from rasa_onramp.tracker.batch import Batch, attention_mask, candidate_mask, mention_masks
from rasa_onramp.tracker.encoder import Encoder, Prefix
from rasa_onramp.tracker.roles import Flag, Role
from rasa_onramp.tracker.tokens import Special, Tokens
from rasa_onramp.tracker.windows import MAX_POSITIONS

__all__ = ["Memory", "Scores", "StateTracker", "Weights", "initial_heads"]

#: What adapts: pointers, special tokens and low-rank updates by name; with a leading dimension
#: where each row of a batch has its own.
Weights = Mapping[str, Tensor]

POINTER_SIZE = 192


@dataclass(frozen=True)
class Scores:
    """Unnormalised scores: `start`, `end` (batch, queries, tokens), `requested` (batch, queries).

    What a query may not point at is at the dtype's minimum.
    """

    start: Tensor
    end: Tensor
    requested: Tensor


@dataclass(frozen=True)
class Memory:
    """An encoded history: its batch, hidden vectors (batch, tokens, hidden), and each layer's keys
    and values. `bag` (batch, slots + 1, hidden): the mean word of each slot's description; 0 at 0.
    """

    batch: Batch
    hidden: Tensor
    prefix: Prefix
    bag: Tensor


def initial_heads(hidden: int, generator: Optional[torch.Generator] = None) -> Dict[str, Tensor]:
    """Pointers and special tokens before any training."""

    def normal(*shape: int, std: float) -> Tensor:
        return torch.randn(*shape, generator=generator) * std

    heads = {
        "special.weight": normal(len(Special), hidden, std=0.05),
        "flag.weight": normal(len(Flag), hidden, std=0.02),
        "offer.weight": torch.zeros(hidden),
        "mention.weight": torch.tensor([3.0, 0.5]),
        "requested.weight": normal(1, hidden, std=0.02),
        "requested.bias": torch.full((1,), -2.0),
    }
    for name in ("start_query", "start_key", "end_query", "end_key"):
        heads[f"{name}.weight"] = normal(POINTER_SIZE, hidden, std=1 / math.sqrt(hidden))
        heads[f"{name}.bias"] = torch.zeros(POINTER_SIZE)
    return heads


@dataclass
class StateTracker:
    """A tracker ready to adapt and to track.

    `weights` is the initialisation; `rates` its learned inner learning rates, one value a step;
    `training_services` are the services it was trained on; `digest` names the checkpoint. Raises
    CheckpointError if the encoder has too few positions.
    """

    encoder: Encoder
    tokens: Tokens
    weights: Dict[str, Tensor]
    rates: Dict[str, Tensor] = field(default_factory=dict)
    training_services: Tuple[str, ...] = ()
    digest: str = ""
    card: Dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        positions = self.encoder.config.max_position_embeddings
        if positions < MAX_POSITIONS:
            raise CheckpointError(
                f"the encoder has {positions} positions, and a tracker reads {MAX_POSITIONS}; "
                "choose another encoder"
            )

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.encoder.parameters()).device

    def placed(self, adapter: Optional[Weights]) -> Optional[Weights]:
        """An adapter on this tracker's device: those that are stored are read on the CPU."""
        if adapter is None:
            return None
        return {name: value.to(self.device) for name, value in adapter.items()}

    def to(self, device: Union[str, torch.device]) -> StateTracker:
        """Move it, in place."""
        self.encoder.to(device)
        self.weights = {k: v.to(device) for k, v in self.weights.items()}
        self.rates = {k: v.to(device) for k, v in self.rates.items()}
        return self

    def remember(
        self, batch: Batch, weights: Optional[Weights] = None, *, math_attention: bool = False
    ) -> Memory:
        """Encode histories (prompts without queries) to be asked later. `math_attention`: allow
        second derivatives.
        """
        weights = self.weights if weights is None else weights
        words, bag = self._words(batch, weights, None)
        mask = attention_mask(batch, batch)
        hidden, prefix = self.encoder(
            words,
            batch.positions,
            mask,
            lora=weights,
            keep=True,
            math_attention=math_attention,
        )
        return Memory(batch, hidden, prefix or [], bag)

    def ask(
        self,
        memory: Memory,
        rest: Batch,
        weights: Optional[Weights] = None,
        *,
        math_attention: bool = False,
    ) -> Scores:
        """Scores of the queries in `rest`, the prompts' tokens that `memory` doesn't hold.

        `rest` may be queries only, or what was said since and then queries. The same as one pass
        over both; scores are over the tokens of memory and rest, in this order.
        """
        weights = self.weights if weights is None else weights
        words, _ = self._words(rest, weights, memory.bag.expand(len(rest), -1, -1))
        mask = torch.cat([attention_mask(rest, memory.batch), attention_mask(rest, rest)], dim=2)
        hidden, _ = self.encoder(
            words,
            rest.positions,
            mask,
            lora=weights,
            past=memory.prefix,
            math_attention=math_attention,
        )
        index = rest.queries()
        rows = index.clamp(min=0)[..., None].expand(-1, -1, hidden.shape[-1])
        keys = torch.cat([memory.hidden.expand(len(rest), -1, -1), hidden], dim=1)
        asked, tokens = _take(rest, index), _join(memory.batch, rest)
        return _point(hidden.gather(1, rows), keys, asked, tokens, weights)

    def _words(
        self, batch: Batch, weights: Weights, bag: Optional[Tensor]
    ) -> Tuple[Tensor, Tensor]:
        """Input embeddings, (batch, tokens, hidden), and the slots' bags of words.

        A query starts from the mean of its slot's description; a word that the bot marked as a
        slot's value gets that slot's mean added, scaled by what training found useful.
        """
        vocabulary = self.tokens.vocab_size
        special = batch.ids >= vocabulary
        words = self.encoder.word_embed(batch.ids.masked_fill(special, 0))
        ours = _rows(weights["special.weight"], (batch.ids - vocabulary).clamp(min=0))
        words = torch.where(special[..., None], ours, words)
        if bag is None:
            count = int(batch.segment.max()) + 1
            member = F.one_hot(
                batch.segment.masked_fill(batch.role >= Role.QUERY_FREE, 0), count
            ).to(words.dtype)
            bag = member.transpose(1, 2) @ words / member.sum(1)[..., None].clamp(min=1)
            bag = bag * (torch.arange(count, device=bag.device) > 0)[None, :, None]
        own = torch.where(
            batch.role >= Role.QUERY_FREE, batch.segment, torch.zeros_like(batch.segment)
        )
        words = words + _pick(bag, own)
        words = words + _pick(bag, batch.offer) * weights["offer.weight"].unsqueeze(-2)
        asks = (batch.role == Role.QUERY_FREE) | (batch.role == Role.QUERY_LISTED)
        flags = _rows(weights["flag.weight"], batch.flag)
        return words + flags * asks[..., None], bag


def _pick(bag: Tensor, index: Tensor) -> Tensor:
    return bag.gather(1, index[..., None].expand(-1, -1, bag.shape[-1]))


def _rows(table: Tensor, index: Tensor) -> Tensor:
    """The rows of a table (rows, width) at `index` (batch, tokens), or of a table a batch row."""
    if table.dim() == 2:
        return F.embedding(index, table)
    return table[torch.arange(len(table), device=table.device)[:, None], index]


def _take(batch: Batch, index: Tensor) -> Batch:
    """The tokens at `index` (batch, queries) as a batch; -1 becomes padding."""
    absent = index < 0
    rows = index.clamp(min=0)
    taken = {f.name: getattr(batch, f.name).gather(1, rows) for f in fields(Batch)}
    taken["role"] = taken["role"].masked_fill(absent, int(Role.PAD))
    return Batch(**taken)


def _join(first: Batch, second: Batch) -> Batch:
    """Two batches' tokens one after the other; a first of one row goes with every row."""

    def both(name: str) -> Tensor:
        head, tail = getattr(first, name), getattr(second, name)
        return torch.cat([head.expand(len(tail), -1), tail], dim=1)

    return Batch(**{f.name: both(f.name) for f in fields(Batch)})


def _point(asked: Tensor, hidden: Tensor, query: Batch, key: Batch, weights: Weights) -> Scores:
    """Scores of queries `query`, with vectors `asked`, over the tokens `key`, with `hidden`.

    A listed value that was said word for word scores higher, by as much as training found useful:
    that a word is the same word, vectors only tell roughly.
    """
    candidates = candidate_mask(query, key)
    bonus = None
    if "mention.weight" in weights:
        by_user, by_bot = mention_masks(query, key)
        worth = weights["mention.weight"][..., None, None]
        bonus = by_user * worth[..., 0, :, :] + by_bot * worth[..., 1, :, :]

    def project(x: Tensor, name: str) -> Tensor:
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return F.linear(x, weight, bias) if weight.dim() == 2 else x @ weight.mT + bias[:, None]

    def match(kind: str) -> Tensor:
        vectors, keys = project(asked, f"{kind}_query"), project(hidden, f"{kind}_key")
        scores = (vectors @ keys.transpose(1, 2) / math.sqrt(vectors.shape[-1])).float()
        if bonus is not None:
            scores = scores + bonus
        return scores.masked_fill(~candidates, torch.finfo(torch.float32).min)

    requested = project(asked, "requested").squeeze(-1)
    return Scores(match("start"), match("end"), requested.float())
