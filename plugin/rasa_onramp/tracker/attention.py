"""Softmax attention under any mask, by the fastest way that gives the derivatives asked for."""

from __future__ import annotations

import math
from typing import Any, Tuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

__all__ = ["attend"]

#: A score that no sum of others comes near; softmax of the lowest number there is takes longer.
_NEVER = -1e4


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
    """Attention that keeps its probabilities, one row of the batch at a time.

    The CPU's fused kernel computes them anew in its backward pass, without the matrix units that
    make bfloat16 worth while. A row's heads together are enough work for one product and small
    enough for the cache.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        ctx.scale = 1 / math.sqrt(query.shape[-1])
        query, key, value = (query * ctx.scale).contiguous(), key.contiguous(), value.contiguous()
        _, heads, tokens, _ = query.shape
        kept = query.new_empty(*query.shape[:3], key.shape[2])
        scores = query.new_empty(heads, tokens, key.shape[2])
        context = torch.empty_like(query)
        bias = torch.zeros_like(mask[:, 0], dtype=query.dtype)
        bias.masked_fill_(~mask[:, 0], _NEVER)
        for row in range(len(query)):
            shown = bias[row].expand_as(scores)
            torch.baddbmm(shown, query[row], key[row].transpose(1, 2), out=scores)
            torch.softmax(scores, -1, out=kept[row])
            torch.bmm(kept[row], value[row], out=context[row])
        ctx.save_for_backward(query, key, value, kept)
        return context

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tuple[Tensor, Tensor, Tensor, None]:
        query, key, value, kept = ctx.saved_tensors
        gradient = gradient.contiguous()
        of_query, of_key = torch.empty_like(query), torch.empty_like(key)
        of_value = torch.empty_like(value)
        products, scores = query.new_empty(2, *kept.shape[1:])
        for row, chances in enumerate(kept):
            torch.bmm(gradient[row], value[row].transpose(1, 2), out=products)
            torch.ops.aten._softmax_backward_data.out(
                products, chances, -1, products.dtype, grad_input=scores
            )
            torch.bmm(scores, key[row], out=of_query[row])
            torch.bmm(scores.transpose(1, 2), query[row], out=of_key[row])
            torch.bmm(chances.transpose(1, 2), gradient[row], out=of_value[row])
        return of_query.mul_(ctx.scale), of_key, of_value, None
