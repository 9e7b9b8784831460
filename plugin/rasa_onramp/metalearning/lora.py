"""What adapts: pointers, special tokens and low-rank updates, and their files.

An update adds B A x to a linear layer (LoRA, Hu et al. 2021; scale 1). Files are safetensors with
PEFT's names, so that other tools read them.
"""

from __future__ import annotations

import math
from typing import Dict, Mapping, Optional

import torch
from safetensors import SafetensorError  # type: ignore[attr-defined]
from safetensors.torch import load, save
from torch import Tensor, nn

from rasa_onramp.errors import CheckpointError
from rasa_onramp.tracker.encoder import EncoderConfig

__all__ = [
    "ADAPTED_LAYERS",
    "Adapter",
    "adapter_from_bytes",
    "adapter_to_bytes",
    "initial_lora",
    "lora_rank",
]

#: The linear layers of each transformer layer that get a low-rank update.
ADAPTED_LAYERS = (
    "attention.self.query",
    "attention.self.value",
    "intermediate.dense",
    "output.dense",
)

_PEFT = "base_model.model."


def initial_lora(
    config: EncoderConfig, rank: int, *, generator: Optional[torch.Generator] = None
) -> Dict[str, Tensor]:
    """Low-rank updates that change nothing yet: A random, B zero."""
    h, f = config.hidden_size, config.intermediate_size
    sizes = {"intermediate.dense": (h, f), "output.dense": (f, h)}
    found = {}
    for index in range(config.num_hidden_layers):
        for layer in ADAPTED_LAYERS:
            fan_in, fan_out = sizes.get(layer, (h, h))
            name = f"encoder.layer.{index}.{layer}"
            bound = 1 / math.sqrt(fan_in)
            a = (torch.rand(rank, fan_in, generator=generator) * 2 - 1) * bound
            found[f"{name}.lora_A.weight"] = a
            found[f"{name}.lora_B.weight"] = torch.zeros(fan_out, rank)
    return found


def lora_rank(weights: Mapping[str, Tensor]) -> Optional[int]:
    """The rank of the low-rank updates among `weights`; None where there are none."""
    ranks = (value.shape[0] for name, value in weights.items() if name.endswith(".lora_A.weight"))
    return next(ranks, None)


class Adapter(nn.Module):
    """A mapping of tensors as a module, so that `higher` patches this and nothing else.

    Calling it returns the mapping: the current parameters, or the fast ones once patched.
    """

    def __init__(self, weights: Mapping[str, Tensor]):
        super().__init__()
        for name, value in weights.items():
            self.register_parameter(_attribute(name), nn.Parameter(value.detach().clone()))
        self.names = tuple(weights)

    def forward(self) -> Dict[str, Tensor]:
        return {name: getattr(self, _attribute(name)) for name in self.names}


def _attribute(name: str) -> str:
    return name.replace(".", "__")


def adapter_to_bytes(weights: Mapping[str, Tensor]) -> bytes:
    """The adapter as a safetensors file in half precision."""
    halves = {
        _PEFT + name: value.detach().to("cpu", torch.float16).contiguous()
        for name, value in weights.items()
    }
    return save(halves, metadata={"format": "pt"})


def adapter_from_bytes(data: bytes) -> Dict[str, Tensor]:
    """Read what `adapter_to_bytes` wrote, as float32. Raises CheckpointError."""
    try:
        tensors = load(data)
        # shapes are as the file says, even those that hold nothing and that torch can't have
        odd = [name for name, value in tensors.items() if not value.is_floating_point()]
        if odd or not all(torch.isfinite(value).all() for value in tensors.values()):
            raise ValueError(f"no numbers in {odd[0]}" if odd else "NaN or infinity")
    except (SafetensorError, KeyError, RuntimeError, TypeError, ValueError, OverflowError) as error:
        reason = (str(error) or repr(error)).splitlines()[0][:200]
        raise CheckpointError(f"adapter can't be read ({reason}); adapt the domain again") from None
    foreign = [name for name in tensors if not name.startswith(_PEFT)]
    if foreign:
        raise CheckpointError(f"{foreign[0]!r} is in no adapter of ours; adapt the domain again")
    return {name[len(_PEFT) :]: value.float() for name, value in tensors.items()}
