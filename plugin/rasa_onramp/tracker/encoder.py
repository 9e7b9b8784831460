"""A plain BERT encoder: torch only, functional adapters, any attention mask.

Parameter names are those of Hugging Face's BertModel, so its files load as they are (a test
compares the outputs). It is our own because the tracker needs what BertModel doesn't offer: a full
(batch, queries, keys) mask under scaled_dot_product_attention, a cached prefix, and low-rank
adapters passed as tensors, so that `higher` need not clone frozen weights and a server can
switch adapters without touching modules.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from rasa_onramp.errors import CheckpointError
from rasa_onramp.tracker.attention import attend
from rasa_onramp.weights import resolve_encoder

__all__ = ["Encoder", "EncoderConfig", "Prefix"]

#: Keys and values of earlier tokens, one pair a layer: (batch, heads, tokens, head size).
Prefix = List[Tuple[Tensor, Tensor]]

#: What config.json says of how it computes, for what we compute. BertModel's defaults.
_COMPUTES = {"hidden_act": "gelu", "position_embedding_type": "absolute"}


@dataclass(frozen=True)
class EncoderConfig:
    """The sizes of a BERT encoder, named as in its config.json."""

    vocab_size: int = 30522
    hidden_size: int = 384
    num_hidden_layers: int = 6
    num_attention_heads: int = 12
    intermediate_size: int = 1536
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12

    @classmethod
    def from_folder(cls, folder: Path) -> EncoderConfig:
        """Read config.json. Raises CheckpointError if it isn't BERT's, or of a BERT that computes
        otherwise.
        """
        try:
            values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        except (OSError, RecursionError, ValueError) as error:
            raise CheckpointError(
                f"{folder}: config.json can't be read ({error}); fetch it anew"
            ) from None
        kind = values.get("model_type") if isinstance(values, dict) else None
        if kind != "bert":
            raise CheckpointError(
                f"{folder}: model type {kind!r}, but only BERT encoders can be used"
            )
        for name, only in _COMPUTES.items():
            if values.get(name, only) != only:
                raise CheckpointError(
                    f"{folder}: {name} is {values[name]!r}, but only encoders with {only!r} can be "
                    "used; choose another one"
                )
        return cls(**{k: values[k] for k in cls.__dataclass_fields__ if k in values})


def _linear(x: Tensor, layer: nn.Linear, lora: Optional[Mapping[str, Tensor]], name: str) -> Tensor:
    """`layer(x)` plus the low-rank update x Aᵀ Bᵀ (LoRA, Hu et al. 2021) where `lora` has one: one
    for all rows of the batch, or one for each.
    """
    y = layer(x)
    if lora is not None:
        a = lora.get(f"{name}.lora_A.weight")
        if a is not None:
            b = lora[f"{name}.lora_B.weight"]
            y = y + (F.linear(F.linear(x, a), b) if a.dim() == 2 else x @ a.mT @ b.mT)
    return y


class _Layer(nn.Module):
    """One transformer layer, sub-modules named as in BertModel."""

    def __init__(self, config: EncoderConfig, index: int):
        super().__init__()
        h = config.hidden_size
        self.heads = config.num_attention_heads
        self.prefix = f"encoder.layer.{index}"
        self.attention: Any = nn.ModuleDict(
            {
                "self": nn.ModuleDict({n: nn.Linear(h, h) for n in ("query", "key", "value")}),
                "output": nn.ModuleDict(
                    {"dense": nn.Linear(h, h), "LayerNorm": nn.LayerNorm(h, config.layer_norm_eps)}
                ),
            }
        )
        self.intermediate: Any = nn.ModuleDict({"dense": nn.Linear(h, config.intermediate_size)})
        self.output: Any = nn.ModuleDict(
            {
                "dense": nn.Linear(config.intermediate_size, h),
                "LayerNorm": nn.LayerNorm(h, config.layer_norm_eps),
            }
        )

    def forward(
        self,
        x: Tensor,
        mask: Tensor,
        lora: Optional[Mapping[str, Tensor]],
        past: Optional[Tuple[Tensor, Tensor]],
        math_attention: bool,
    ) -> Tuple[Tensor, Tuple[Tensor, Tensor]]:
        batch, length, width = x.shape
        attention, name = self.attention["self"], f"{self.prefix}.attention.self"

        def split(kind: str) -> Tensor:
            y = _linear(x, attention[kind], lora, f"{name}.{kind}")
            return y.view(batch, length, self.heads, width // self.heads).transpose(1, 2)

        query, key, value = split("query"), split("key"), split("value")
        if past is not None:
            key = torch.cat([past[0].expand(batch, -1, -1, -1), key], dim=2)
            value = torch.cat([past[1].expand(batch, -1, -1, -1), value], dim=2)
        context = attend(query, key, value, mask, plain=math_attention)
        context = context.transpose(1, 2).reshape(batch, length, width)
        out = self.attention["output"]
        y = _linear(context, out["dense"], lora, f"{self.prefix}.attention.output.dense")
        x = out["LayerNorm"](x + y)
        y = F.gelu(
            _linear(x, self.intermediate["dense"], lora, f"{self.prefix}.intermediate.dense")
        )
        y = _linear(y, self.output["dense"], lora, f"{self.prefix}.output.dense")
        return self.output["LayerNorm"](x + y), (key, value)


class Encoder(nn.Module):
    """BERT without pooler and without dropout."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.config = config
        h = config.hidden_size
        self.embeddings: Any = nn.ModuleDict(
            {
                "word_embeddings": nn.Embedding(config.vocab_size, h),
                "position_embeddings": nn.Embedding(config.max_position_embeddings, h),
                "token_type_embeddings": nn.Embedding(config.type_vocab_size, h),
                "LayerNorm": nn.LayerNorm(h, config.layer_norm_eps),
            }
        )
        layers = nn.ModuleList(_Layer(config, i) for i in range(config.num_hidden_layers))
        self.encoder: Any = nn.ModuleDict({"layer": layers})

    def unfreeze(self) -> Dict[str, Tensor]:
        """Have everything trained but the word embeddings; returns what is, by name."""
        self.requires_grad_(True)
        self.embeddings["word_embeddings"].requires_grad_(False)
        return {name: p for name, p in self.named_parameters() if p.requires_grad}

    @classmethod
    def load(cls, name: Union[str, Path] = "all-MiniLM-L6-v2") -> Encoder:
        """The pretrained encoder called `name` (see weights.resolve_encoder).

        Raises CheckpointError if it can't be had or its tensors don't fit.
        """
        folder = resolve_encoder(name)
        encoder = cls(EncoderConfig.from_folder(folder))
        try:
            tensors = load_file(str(folder / "model.safetensors"))
        except Exception as error:
            raise CheckpointError(
                f"{folder}: model.safetensors can't be read ({error}); fetch it anew"
            ) from None
        wanted = encoder.state_dict()
        found = {k[5:] if k.startswith("bert.") else k: v.float() for k, v in tensors.items()}
        missing = [k for k in wanted if k not in found or found[k].shape != wanted[k].shape]
        if missing:
            raise CheckpointError(
                f"{folder}: lacks or misshapes {missing[0]}; fetch the model anew"
            )
        encoder.load_state_dict({k: found[k] for k in wanted})
        return encoder

    def word_embed(self, ids: Tensor) -> Tensor:
        """Word embeddings of ids (batch, tokens) → (batch, tokens, hidden), not yet normalised."""
        return self.embeddings["word_embeddings"](ids)

    def forward(
        self,
        words: Tensor,
        positions: Tensor,
        mask: Tensor,
        *,
        lora: Optional[Mapping[str, Tensor]] = None,
        past: Optional[Prefix] = None,
        keep: bool = False,
        math_attention: bool = False,
    ) -> Tuple[Tensor, Optional[Prefix]]:
        """Contextual embeddings.

        Args:
            words: (batch, tokens, hidden) word embeddings, as from `word_embed`.
            positions: (batch, tokens) position numbers below max_position_embeddings.
            mask: (batch, tokens, past tokens + tokens), True where a query may look at a key.
            lora: low-rank updates by PEFT's names ("….query.lora_A.weight": (rank, in), or
                (batch, rank, in) where each row has its own).
            past: keys and values of earlier tokens, from a call with `keep`.
            keep: also return keys and values (past and new).
            math_attention: attention in plain operations, which have second derivatives.

        Returns:
            (batch, tokens, hidden), and the kept keys and values or None.
        """
        e = self.embeddings
        x = words + e["position_embeddings"](positions) + e["token_type_embeddings"].weight[0]
        x = e["LayerNorm"](x)
        mask = mask.unsqueeze(1)
        kept: Prefix = []
        for index, layer in enumerate(self.encoder["layer"]):
            before = past[index] if past is not None else None
            x, pair = layer(x, mask, lora, before, math_attention)
            if keep:
                kept.append(pair)
        return x, (kept if keep else None)
