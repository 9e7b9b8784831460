"""What learning minimises: the tracker's loss over dialogues that share an encoded schema."""

from __future__ import annotations

from typing import List, Optional

import torch
from torch import Tensor

from rasa_onramp.metalearning.examples import Group
from rasa_onramp.metalearning.precision import learning_precision
from rasa_onramp.tracker.loss import tracking_loss
from rasa_onramp.tracker.model import StateTracker, Weights

__all__ = ["group_loss"]


def group_loss(
    tracker: StateTracker,
    group: Group,
    weights: Optional[Weights] = None,
    *,
    math_attention: bool = False,
) -> Tensor:
    """Mean over the group's turns of `tracking_loss`, in the precision that learning computes in.

    The same as of whole prompts, but the schema is encoded once. `weights` None: the tracker's
    own. `math_attention`: allow second derivatives.
    """
    device = tracker.device
    with learning_precision(device):
        memory = tracker.remember(group.schema.to(device), weights, math_attention=math_attention)
        scores = [
            tracker.ask(memory, said.to(device), weights, math_attention=math_attention)
            for said, _ in group.parts
        ]
    losses: List[Tensor] = [
        tracking_loss(one, labels.to(device)) * (labels.turns / group.turns)
        for one, (_, labels) in zip(scores, group.parts)
    ]
    return torch.stack(losses).sum()
