"""Prompts side by side as tensors, and the masks that follow from their roles."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Optional, Sequence, Tuple, Union

import numpy as np
import torch
from torch import Tensor

from rasa_onramp.tracker.prompt import Prompt
from rasa_onramp.tracker.roles import Role
from rasa_onramp.tracker.targets import Targets

__all__ = [
    "Batch",
    "Labels",
    "attention_mask",
    "candidate_mask",
    "collate",
    "collate_labels",
    "mention_masks",
]


@dataclass(frozen=True)
class Batch:
    """Prompts padded to one length: each tensor (batch, tokens), int64. Padding has role PAD."""

    ids: Tensor
    positions: Tensor
    segment: Tensor
    role: Tensor
    utterance: Tensor
    offer: Tensor
    flag: Tensor
    number: Tensor
    said: Tensor
    heard: Tensor

    def __len__(self) -> int:
        return self.ids.shape[0]

    def to(self, device: Union[str, torch.device]) -> Batch:
        """The same on another device."""
        return Batch(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def queries(self) -> Tensor:
        """Token index of each query, (batch, queries), -1 where a prompt has fewer."""
        is_query = self.role >= Role.QUERY_FREE
        count = int(is_query.sum(1).max()) if len(self) else 0
        order = torch.where(
            is_query, torch.arange(self.role.shape[1], device=self.role.device), 1 << 30
        )
        index = order.sort(1).values[:, :count]
        return torch.where(index < (1 << 30), index, torch.full_like(index, -1))


@dataclass(frozen=True)
class Labels:
    """Right answers: `start` and `end` (batch, queries, tokens) bool, `requested` (batch, queries).

    `slot` (batch, queries) says which queries are slots'. `turns` is the number of asked turns.
    """

    start: Tensor
    end: Tensor
    requested: Tensor
    slot: Tensor
    turns: int

    def to(self, device: Union[str, torch.device]) -> Labels:
        """The same on another device."""
        moved = [t.to(device) for t in (self.start, self.end, self.requested, self.slot)]
        return Labels(moved[0], moved[1], moved[2], moved[3], self.turns)


def collate(prompts: Sequence[Prompt], part: Optional[str] = None) -> Batch:
    """Pad prompts to one batch.

    `part` takes only some tokens: "queries", or "said" (utterances and queries).
    """

    def cut(prompt: Prompt, name: str) -> np.ndarray:
        values = getattr(prompt, name)
        if part == "said":
            return values[len(prompt.schema) :]
        return values[prompt.history :] if part == "queries" else values

    length = max(len(cut(p, "ids")) for p in prompts)
    tensors = {}
    for name in (field.name for field in fields(Batch)):
        rows = np.zeros((len(prompts), length), np.int64)
        for row, prompt in zip(rows, prompts):
            values = cut(prompt, name)
            row[: len(values)] = values
        tensors[name] = torch.from_numpy(rows)
    return Batch(**tensors)


def collate_labels(prompts: Sequence[Prompt], targets: Sequence[Targets], length: int) -> Labels:
    """Labels of prompts that `collate` padded to `length` tokens."""
    count = max(len(t.requested) for t in targets)
    start = torch.zeros(len(prompts), count, length, dtype=torch.bool)
    end = torch.zeros_like(start)
    requested = torch.zeros(len(prompts), count)
    slot = torch.zeros(len(prompts), count, dtype=torch.bool)
    for row, (prompt, target) in enumerate(zip(prompts, targets)):
        if target.points:
            query, first, last = torch.tensor(target.points).T
            start[row, query, first] = True
            end[row, query, last] = True
        requested[row, : len(target.requested)] = torch.from_numpy(target.requested)
        roles = torch.from_numpy(prompt.role[prompt.history :])
        slot[row, : len(roles)] = roles <= Role.QUERY_LISTED
    return Labels(start, end, requested, slot, sum(len(p.asked) for p in prompts))


def attention_mask(query: Batch, key: Batch) -> Tensor:
    """Who may look at whom, (batch, query tokens, key tokens), as prompt.py's docstring says."""
    query_asks = (query.role >= Role.QUERY_FREE)[:, :, None]
    key_asks = (key.role >= Role.QUERY_FREE)[:, None, :]
    qu, ku = query.utterance[:, :, None], key.utterance[:, None, :]
    qs, ks = query.segment[:, :, None], key.segment[:, None, :]
    elsewhere = query_asks & (qs > 0) & (ks > 0) & (ks != qs)
    said = ~key_asks & (ku <= qu) & ~elsewhere
    together = query_asks & key_asks & (ku == qu)
    allowed = (said | together) & (key.role != Role.PAD)[:, None, :]
    # a padded query must see something, or its softmax is of nothing
    return allowed | (query.role == Role.PAD)[:, :, None]


def candidate_mask(query: Batch, key: Batch) -> Tensor:
    """What each query token may point at, (batch, query tokens, key tokens)."""
    qr, kr = query.role[:, :, None], key.role[:, None, :]
    slot = (qr == Role.QUERY_FREE) | (qr == Role.QUERY_LISTED)
    special = slot & ((kr == Role.ANY) | (kr == Role.CLEAR))
    said = key.utterance[:, None, :] <= query.utterance[:, :, None]
    text = (qr == Role.QUERY_FREE) & (kr == Role.TEXT) & said
    same = key.segment[:, None, :] == query.segment[:, :, None]
    listed = (qr == Role.QUERY_LISTED) & (kr == Role.VALUE) & same
    intent = (qr == Role.QUERY_INTENT) & (kr == Role.INTENT)
    action = (qr == Role.QUERY_ACTION) & (kr == Role.ACTION)
    return (kr == Role.NONE) | special | text | listed | intent | action


def mention_masks(query: Batch, key: Batch) -> Tuple[Tensor, Tensor]:
    """Where a query's listed value stands in the user's turn, and in the bot's before it.

    Each (batch, query tokens, key tokens), True only at marks of the query's own slot.
    """
    number = key.number[:, None, :]
    own = (number > 0) & (key.segment[:, None, :] == query.segment[:, :, None])

    def among(bits: Tensor) -> Tensor:
        return own & ((bits[:, :, None] >> number) & 1).bool()

    return among(query.said), among(query.heard)
