"""The inner loop: a few gradient steps on a support set. The only module that imports `higher`.

Starting from the initialisation θ₀, step k takes the gradient g_k of the support loss at θ_k and

    θ_{k+1} = θ_k − α_k · u(g_k)

with a learned rate α_k for every tensor and step (Meta-SGD, Li et al. 2017; per layer and step as
in MAML++, Antoniou et al. 2019) and u plain (SGD) or Adam's. The outer loop differentiates the
query loss at θ_K with respect to θ₀ and the α. First order (FOMAML, Finn et al. 2017) takes g_k as
constant.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import reduce
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Type, TypeVar

import higher
import torch
from torch import Tensor
from torch.nn import functional as F

from rasa_onramp.errors import CheckpointError, ConfigError
from rasa_onramp.metalearning.lora import Adapter

__all__ = [
    "InnerLoop",
    "SupportLoss",
    "adapt",
    "differentiable_steps",
    "initial_rates",
    "recommended",
    "setting_flaw",
    "stretched",
]

#: Support loss of some weights at some step.
SupportLoss = Callable[[Mapping[str, Tensor], int], Tensor]

Settings = TypeVar("Settings")

#: Optimisers of the inner loop.
_OPTIMISERS: Mapping[str, Any] = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}


def setting_flaw(name: str, value: Any) -> Optional[str]:
    """What is wrong with a setting of adapting, "optimiser", a scale of rates or how many there are
    of something; None if nothing is.
    """
    if name == "optimiser":
        fine, mend = value in list(_OPTIMISERS), f"choose one of {', '.join(_OPTIMISERS)}"
    elif name.endswith("rate_scale"):
        fine, mend = isinstance(value, (int, float)) and value > 0, "give a number above 0"
    else:
        fine, mend = isinstance(value, int) and value >= 1, "give a whole number from 1 on"
    return None if fine else f"{name} is {value!r}; {mend}"


def recommended(kind: Type[Settings], card: Mapping[str, Any], file: str) -> Settings:
    """What a checkpoint's card, in `file`, says under `adaptation`; the other settings of `kind`, a
    dataclass, are its defaults.

    Raises CheckpointError for a setting that there is none of, or that can't be.
    """
    told = card.get("adaptation", {})
    if not isinstance(told, dict):
        raise CheckpointError(f"{file}: card.adaptation is {told!r}; give settings by name")
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    unknown = [name for name in told if name not in known]
    if unknown:
        raise CheckpointError(
            f"{file}: card.adaptation has no setting {unknown[0]!r}; take it out, or use the "
            "version of rasa-onramp that wrote it"
        )
    try:
        return kind(**told)
    except ConfigError as error:
        raise CheckpointError(f"{file}, card.{error}") from None


@dataclass(frozen=True)
class InnerLoop:
    """How to adapt: `steps`, `order` 1 or 2 of the meta-gradient, `optimiser` "adam" or "sgd"."""

    steps: int = 8
    order: int = 1
    optimiser: str = "adam"


def initial_rates(
    weights: Mapping[str, Tensor], steps: int, *, lora: float, heads: float
) -> Dict[str, Tensor]:
    """A learning rate for each tensor and step, (steps,) each, to be learned from here on.

    They begin at `lora` or `heads` and fall linearly to a fifth.
    """
    fall = torch.linspace(1.0, 0.2, steps)
    return {name: fall * (lora if ".lora_" in name else heads) for name in weights}


def stretched(rates: Tensor, steps: int) -> Tensor:
    """Learned rates (steps meta-trained,) as (steps,): between the learned steps linearly."""
    return F.interpolate(rates[None, None], size=steps, mode="linear", align_corners=True)[0, 0]


def differentiable_steps(
    adapter: Adapter, loss_of: SupportLoss, rates: Mapping[str, Tensor], how: InnerLoop
) -> Iterator[Dict[str, Tensor]]:
    """The fast weights after each step, still connected to `adapter`'s parameters and to `rates`.

    A step is taken when its weights are asked for.
    """
    return _steps(adapter, loss_of, rates, how, track=True)


def adapt(
    weights: Mapping[str, Tensor],
    loss_of: SupportLoss,
    rates: Mapping[str, Tensor],
    how: InnerLoop,
    *,
    after_step: Optional[Callable[[int, float], None]] = None,
) -> Dict[str, Tensor]:
    """Adapted weights, detached: the same steps as in meta-training, without their graph."""
    path = _steps(Adapter(weights), loss_of, rates, how, track=False, after_step=after_step)
    adapted = reduce(lambda before, after: after, path, dict(weights))
    return {name: value.detach() for name, value in adapted.items()}


def _steps(
    adapter: Adapter,
    loss_of: SupportLoss,
    rates: Mapping[str, Tensor],
    how: InnerLoop,
    *,
    track: bool,
    after_step: Optional[Callable[[int, float], None]] = None,
) -> Iterator[Dict[str, Tensor]]:
    # one group a tensor, so that each has a rate of its own
    groups: List[Dict] = [{"params": [p], "lr": 0.0} for p in adapter.parameters()]
    kind = _OPTIMISERS[how.optimiser]
    optimiser = kind(groups, lr=0.0)
    with higher.innerloop_ctx(
        adapter, optimiser, copy_initial_weights=False, track_higher_grads=track
    ) as (fast, steps):
        for step in range(how.steps):
            loss = loss_of(fast(), step)
            if after_step is not None:
                after_step(step, float(loss.detach()))
            if how.order == 1:
                loss = _linearised(loss, list(fast.parameters()))
            rate = [r[min(step, len(r) - 1)] for r in (rates[name] for name in adapter.names)]
            steps.step(loss, override={"lr": rate})
            yield fast()


def _linearised(loss: Tensor, parameters: List[Tensor]) -> Tensor:
    """A loss with the same gradient, held constant: ⟨θ, g⟩.

    higher differentiates with create_graph, which would keep and slow the whole backward pass;
    of this it keeps next to nothing.
    """
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    terms = [(p * g).sum() for p, g in zip(parameters, gradients) if g is not None]
    return torch.stack(terms).sum()
