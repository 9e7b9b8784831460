"""The language model that writes replies, and the low-rank updates that adapt it to a domain.

Its own weights stay as they are. Every linear layer below the output head may take an update
B A x (LoRA, Hu et al. 2021; scale 1), given by name at each use, so that `higher` can patch a
mapping of tensors and one batch can hold rows of several domains.
"""

from __future__ import annotations

import math
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rasa_onramp.errors import CheckpointError
from rasa_onramp.generator.packing import Packed, ReplyTokens

__all__ = ["ReplyModel", "Weights"]

#: Tensors by name: "<layer>.lora_A.weight" (rank, in) and "<layer>.lora_B.weight" (out, rank); with
#: a leading dimension where each row of a batch has its own.
Weights = Mapping[str, Tensor]

_A, _B = ".lora_A.weight", ".lora_B.weight"


class _LowRank(nn.Module):
    """A linear layer with a low-rank update, if one is set, or with another weight in its place."""

    def __init__(self, base: nn.Linear):
        super().__init__()
        self.base = base
        self.update: Optional[Tuple[Tensor, Tensor]] = None
        self.merged: Optional[Tensor] = None

    def forward(self, x: Tensor) -> Tensor:
        if self.merged is not None:
            return F.linear(x, self.merged, self.base.bias)
        y = self.base(x)
        if self.update is None:
            return y
        a, b = self.update
        if a.dim() == 2:
            return y + F.linear(F.linear(x, a), b)
        return y + (x @ a.transpose(1, 2)) @ b.transpose(1, 2)


@dataclass
class ReplyModel:
    """A causal language model, its tokenizer, and the meta-learned start of every adaptation.

    `weights` are the initial updates and `rates` the learned inner rates, (steps,) a tensor; both
    empty for a model that was never trained here. `digest` names the initialisation, `name` the
    language model that it is for.
    """

    model: Any  # a transformers PreTrainedModel
    tokens: ReplyTokens
    name: str
    weights: Dict[str, Tensor] = field(default_factory=dict)
    rates: Dict[str, Tensor] = field(default_factory=dict)
    training_services: Tuple[str, ...] = ()
    digest: str = ""
    card: Dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.model.requires_grad_(False).eval()
        self._layers = _wrapped(self.model.base_model)
        if not self._layers:
            raise CheckpointError(
                f"language model {self.name!r} has no linear layers to adapt; use another one"
            )

    @classmethod
    def load(
        cls,
        folder: Union[str, Path],
        name: str,
        *,
        device: Union[str, torch.device] = "cpu",
        attention: str = "sdpa",
    ) -> ReplyModel:
        """Read a model folder in bfloat16. Raises CheckpointError.

        Second-order meta-gradients need `attention` "eager": the fused one has no double backward.
        """
        os.environ.setdefault("USE_TF", "0")  # else TensorFlow is imported where it is installed
        try:
            import transformers
        except ImportError:
            raise CheckpointError(
                "replies are written by a language model, which needs transformers; "
                "pip install 'rasa-onramp[generator]'"
            ) from None
        tokens = ReplyTokens.from_folder(folder)
        try:
            loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(
                str(folder),
                output_loading_info=True,
                attn_implementation=attention,
                local_files_only=True,
                use_safetensors=True,  # no pickles
                trust_remote_code=False,  # no Python that comes with a model
                **{_dtype_name(transformers.__version__): torch.bfloat16},
            )
        except Exception as error:  # transformers raises of every kind
            reason = (str(error) or repr(error)).splitlines()[0]
            raise CheckpointError(
                f"{folder} holds no causal language model that can be read ({reason}); "
                "run `rasa-onramp weights`"
            ) from None
        model, told = loaded
        missing = sorted(told["missing_keys"])
        if missing:  # they are random
            raise CheckpointError(
                f"{folder} lacks {len(missing)} tensors that its config.json asks for, as "
                f"{missing[0]}; copy it anew, or give another folder"
            )
        return cls(model.to(device), tokens, name)

    def to(self, device: Union[str, torch.device]) -> None:
        """Move it, with its updates and rates."""
        self.model.to(device)
        self.weights = {name: value.to(device) for name, value in self.weights.items()}
        self.rates = {name: value.to(device) for name, value in self.rates.items()}

    def attend(self, how: str) -> None:
        """Attend so from now on: "sdpa" or "eager". Transformers before 4.48 go on as they did."""
        self.model.config._attn_implementation = how

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        """What it computes in."""
        return self.model.dtype

    def initial_weights(self, rank: int, seed: int = 0) -> Dict[str, Tensor]:
        """Updates that change nothing yet: A random, B zero; float32."""
        generator = torch.Generator().manual_seed(seed)
        found = {}
        for name, layer in self._layers.items():
            bound = 1 / math.sqrt(layer.base.in_features)
            a = (torch.rand(rank, layer.base.in_features, generator=generator) * 2 - 1) * bound
            found[name + _A] = a.to(self.device)
            found[name + _B] = torch.zeros(layer.base.out_features, rank, device=self.device)
        return found

    @contextmanager
    def using(self, weights: Optional[Weights] = None) -> Iterator[Any]:
        """The language model with these updates (None: the initial ones). Not reentrant."""
        given = self.weights if weights is None else weights
        try:
            for name, layer in self._layers.items():
                if name + _A in given:
                    a, b = given[name + _A], given[name + _B]
                    layer.update = (a.to(self.dtype), b.to(self.dtype))
            yield self.model
        finally:
            for layer in self._layers.values():
                layer.update = None

    def merged(self, weights: Weights) -> Dict[str, Tensor]:
        """Every layer's weight with its update added, so that using it costs nothing."""
        found = {}
        with torch.no_grad():
            for name, layer in self._layers.items():
                if name + _A in weights:
                    a, b = weights[name + _A].float(), weights[name + _B].float()
                    found[name] = (layer.base.weight.float() + b @ a).to(self.dtype)
        return found

    @contextmanager
    def using_merged(self, merged: Mapping[str, Tensor]) -> Iterator[Any]:
        """The language model with what `merged` made. Not reentrant."""
        try:
            for name, weight in merged.items():
                self._layers[name].merged = weight
            yield self.model
        finally:
            for layer in self._layers.values():
                layer.merged = None

    def loss(self, sequences: Sequence[Packed], weights: Optional[Weights] = None) -> Tensor:
        """The mean negative log likelihood of the learned tokens, in nats. 0 if there are none."""
        ids, learned = _padded(sequences, self.device)
        # a token is predicted at the one before it; the padding stands behind and sees everything
        wanted = learned[:, 1:]
        with self.using(weights) as model:
            hidden = model.base_model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
        logits = model.get_output_embeddings()(hidden[wanted]).float()
        return F.cross_entropy(logits, ids[:, 1:][wanted], reduction="sum") / max(
            1, int(wanted.sum())
        )


def _dtype_name(version: str) -> str:
    """What this release of transformers calls the precision to load in."""
    major, minor = (int(part) for part in version.split(".")[:2])
    return "dtype" if (major, minor) >= (4, 56) else "torch_dtype"


def _wrapped(model: nn.Module) -> Dict[str, _LowRank]:
    """Put a `_LowRank` around every linear layer of `model`, in place; by the layers' names.

    A model that has them already keeps them.
    """
    found = {name: each for name, each in model.named_modules() if isinstance(each, _LowRank)}
    if found:
        return found
    for parent_name, parent in list(model.named_modules()):
        for child_name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear):
                name = f"{parent_name}.{child_name}" if parent_name else child_name
                found[name] = _LowRank(child)
                setattr(parent, child_name, found[name])
    return found


def _padded(sequences: Sequence[Packed], device: torch.device) -> Tuple[Tensor, Tensor]:
    """Ids and learned marks, (sequences, tokens) each, padded at the end."""
    ids: List[Tensor] = [torch.from_numpy(s.ids) for s in sequences]
    learned: List[Tensor] = [torch.from_numpy(s.learned) for s in sequences]
    return (
        nn.utils.rnn.pad_sequence(ids, batch_first=True).to(device),
        nn.utils.rnn.pad_sequence(learned, batch_first=True).to(device),
    )
