"""Softmax attention under any mask, by the fastest way that gives the derivatives asked for."""

from __future__ import annotations

import math
from typing import Any, List, Tuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

__all__ = ["attend"]


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, *, plain: bool) -> Tensor:
    """softmax(Q Kᵀ / √d) V, each (batch, heads, tokens, size).

    Args:
        mask: (batch, 1, tokens, keys), True where a query may look at a key.
        plain: in plain operations, which have second derivatives.
    """
    if plain:
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1) @ value
    half = query.dtype == torch.bfloat16 and query.device.type == "cpu"
    if half and query.requires_grad and torch.is_grad_enabled():
        found: Tensor = _Remembered.apply(query, key, value, mask)
        return found
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


class _Remembered(torch.autograd.Function):
    """Attention that keeps its probabilities.

    The CPU's fused kernel computes them anew in its backward pass, without the matrix units that
    make bfloat16 worth while. Head by head, so that a head's scores stay in the cache, and the
    earlier half of the tokens without the keys that none of them sees, as most see only what was
    said before: with these, attention takes a third of the fused kernel's time.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        ctx.scale = 1 / math.sqrt(query.shape[-1])
        query, key, value = (query * ctx.scale).contiguous(), key.contiguous(), value.contiguous()
        ctx.parts = _parts(mask)
        lowest = torch.finfo(query.dtype).min
        context = torch.empty_like(query)
        heads = query.shape[1]
        sizes = [(rows.stop - rows.start) * keys for parts in ctx.parts for rows, keys in parts]
        kept = query.new_empty(heads * sum(sizes))
        scores = query.new_empty(max(sizes))
        done = 0
        for row, parts in enumerate(ctx.parts):
            for rows, keys in parts:
                shape = (rows.stop - rows.start, keys)
                bias = torch.zeros(shape, dtype=query.dtype)
                bias.masked_fill_(~mask[row, 0, rows, :keys], lowest)
                part = scores[: shape[0] * keys].view(shape)
                for head in range(heads):
                    torch.mm(query[row, head, rows], key[row, head, :keys].t(), out=part)
                    part.add_(bias)
                    chances = kept[done : done + len(part) * keys].view(shape)
                    done += len(part) * keys
                    torch.softmax(part, -1, out=chances)
                    torch.mm(chances, value[row, head, :keys], out=context[row, head, rows])
        ctx.save_for_backward(query, key, value, kept)
        return context

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tuple[Tensor, Tensor, Tensor, None]:
        query, key, value, kept = ctx.saved_tensors
        gradient = gradient.contiguous()
        of_query, of_key = torch.empty_like(query), torch.zeros_like(key)
        of_value = torch.zeros_like(value)
        products, scores = query.new_empty(2, query.shape[2] * key.shape[2])
        done = 0
        for row, parts in enumerate(ctx.parts):
            for rows, keys in parts:
                shape = (rows.stop - rows.start, keys)
                size = shape[0] * keys
                product, score = products[:size].view(shape), scores[:size].view(shape)
                for head in range(query.shape[1]):
                    g, q = gradient[row, head, rows], query[row, head, rows]
                    chances = kept[done : done + size].view(shape)
                    done += size
                    torch.mm(g, value[row, head, :keys].t(), out=product)
                    torch.ops.aten._softmax_backward_data.out(
                        product, chances, -1, product.dtype, grad_input=score
                    )
                    torch.mm(score, key[row, head, :keys], out=of_query[row, head, rows])
                    of_key[row, head, :keys].add_(score.t() @ q)
                    of_value[row, head, :keys].add_(chances.t() @ g)
        return of_query.mul_(ctx.scale), of_key, of_value, None


def _parts(mask: Tensor) -> List[List[Tuple[slice, int]]]:
    """For each row of a batch its tokens in two halves, each with the number of keys they see."""
    tokens, keys = mask.shape[-2:]
    half = tokens // 2
    if half == 0:
        return [[(slice(0, tokens), keys)]] * len(mask)
    seen = mask[:, 0, :half].any(-2) * torch.arange(1, keys + 1)
    return [
        [(slice(0, half), max(1, int(last))), (slice(half, tokens), keys)]
        for last in seen.amax(-1).tolist()
    ]
